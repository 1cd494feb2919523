"""Which library to take: a question, what was measured, what is declared, and an answer with its reasons.

`question` asks, `evidence` finds the measured figures, `criteria` holds each library against each criterion, `answer`
orders them, `text` says it. Nothing here is heavy: scripts/choose.py answers within a second.
"""

from harness.choose.answer import answer
from harness.choose.evidence import gather
from harness.choose.question import Question, asked, parser
from harness.choose.text import explained, told

__all__ = ["Question", "answer", "asked", "explained", "gather", "parser", "told"]
