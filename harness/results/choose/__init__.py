"""Which library to take: a question, what was measured, what is declared, and an answer with its reasons.

`question` asks, `evidence` finds the measured figures and `strength` says what they lack, `criteria` holds each library
against each criterion, `entry` orders them, `advice` says what to do, `answer` puts it together, `text` says it. numpy
and scipy are the heaviest here, for the statistics of compare: scripts/choose.py answers in about a second.
"""

from harness.results.choose.answer import answer
from harness.results.choose.evidence import gather
from harness.results.choose.question import Question, asked, considered, parser
from harness.results.choose.text import explained, told

__all__ = ["Question", "answer", "asked", "considered", "explained", "gather", "parser", "told"]
