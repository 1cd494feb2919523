"""Spans of a text that bear a label: read from what tools export, held to the text, and turned into a tag a word.

Three forms are read: a text with its spans, as Label Studio, doccano and Prodigy export them (`{start, end, label}`,
`[start, end, label]`, characters counted from 0, the end not among them); lists of words and of their tags; and files
with a word and its tag a line (CoNLL). Tags are IOB2: B-LABEL begins a span, I-LABEL goes on with it, O is in none.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

WORD = re.compile(r"\w+|[^\w\s]")  # letters and digits, or one sign: what a tag is given to in a text without words
OUTSIDE = "O"
STARTS, ENDS, LABELS = ("start", "start_offset"), ("end", "end_offset"), ("label", "labels")  # of Prodigy, the others


class Span(NamedTuple):
    """Characters `start` to `end` of a text, counted from 0, the last not among them."""

    start: int
    end: int
    label: str


class Spans(tuple[Span, ...]):
    """The spans of a text, in their order; none overlaps another."""

    @property
    def names(self) -> tuple[str, ...]:
        """The labels that any of them has, sorted."""
        return tuple(sorted({span.label for span in self}))


class Unusable(str):
    """What is wrong with a row's spans or tags, in words."""


def words_of(text: str, parted: bool = False) -> list[tuple[int, int]]:
    """Return where the words of a text stand; `parted`: they were given, and stand between single spaces."""
    return [match.span() for match in (re.finditer(r"[^ ]+", text) if parted else WORD.finditer(text))]


def read(text: str, cell: Any, wanted: frozenset[str] | None = None) -> Spans | Unusable:
    """Return the spans that a cell says of a text: a list, or one as JSON; `wanted`: those with these labels alone."""
    if isinstance(cell, str):
        try:
            cell = json.loads(cell) if cell.strip() else []
        except (ValueError, RecursionError):
            return Unusable("spans that are no list, and none as JSON")
    if not isinstance(cell, list):
        return Unusable("no list of spans (an empty one is a text without)")
    found = []
    for one in cell:
        span = _span(one)
        if isinstance(span, Unusable):
            return span
        if not 0 <= span.start <= span.end <= len(text):
            return Unusable("a span outside the text")
        if not text[span.start : span.end].strip():
            return Unusable("a span of nothing, or of spaces alone")
        if wanted is None or span.label in wanted:
            found.append(span)
    found.sort()
    if any(one.end > other.start for one, other in zip(found, found[1:], strict=False)):
        return Unusable("spans that overlap (data.span_labels=[LABEL,…] takes those of some labels alone)")
    return Spans(found)


def _span(one: Any) -> Span | Unusable:
    """Return the span that an object or a list of three says."""
    if isinstance(one, dict):
        keys = [next((key for key in names if key in one), None) for names in (STARTS, ENDS, LABELS)]
        if None in keys:
            return Unusable("a span without start, end or label")
        one = [one[key] for key in keys]
    if not (isinstance(one, (list, tuple)) and len(one) == 3):
        return Unusable("a span that is neither {start, end, label} nor [start, end, label]")
    start, end, label = one
    label = label[0] if isinstance(label, list) and len(label) == 1 else label  # Label Studio's `labels`
    if not all(isinstance(place, int) and not isinstance(place, bool) for place in (start, end)):
        return Unusable("a span whose start or end is no whole number")
    if not (isinstance(label, str) and label.strip()):
        return Unusable("a span whose label is no text, or several")
    return Span(start, end, label.strip())


def joined(words: Any, tags: Any, wanted: frozenset[str] | None = None) -> tuple[str, Spans | Unusable]:
    """Return the text that words make, one space between them, and the spans that their tags say."""
    if not _texts(words) or not _texts(tags):
        return str(words), Unusable("words or tags that are no list of texts")
    text = " ".join(words)
    if any(not word or " " in word for word in words):
        return text, Unusable("a word that is empty or has a space in it")
    if len(words) != len(tags):
        return text, Unusable("another number of tags than of words")
    found, place = list[Span](), 0
    for word, tag in zip(words, tags, strict=True):
        end, (kind, _, label) = place + len(word), tag.partition("-")
        if tag != OUTSIDE and (kind not in ("B", "I") or not label):
            return text, Unusable("a tag that is neither O, nor B-LABEL, nor I-LABEL")
        if kind == "I":
            if not found or found[-1][1:] != (place - 1, label):
                return text, Unusable("a tag that goes on with a span that does not begin: I-LABEL after another")
            found[-1] = Span(found[-1].start, end, label)
        elif kind == "B":
            found.append(Span(place, end, label))
        place = end + 1
    return text, Spans(span for span in found if wanted is None or span.label in wanted)


def _texts(cell: Any) -> bool:
    return isinstance(cell, list) and all(isinstance(one, str) for one in cell)


def tag_names(labels: Iterable[str]) -> list[str]:
    """Return the tags of spans with these labels, sorted."""
    return sorted([OUTSIDE, *(f"{kind}-{label}" for label in labels for kind in "BI")])


def tags(words: Sequence[tuple[int, int]], spans: Spans) -> tuple[list[str], int]:
    """Return the tag of each word, and how many spans begin or end within a word, which they get whole.

    A word that two spans share is the first one's.
    """
    found, cut, place = [OUTSIDE] * len(words), 0, 0
    for span in spans:
        while place < len(words) and words[place][1] <= span.start:
            place += 1
        first = place
        while place < len(words) and words[place][0] < span.end:
            found[place] = f"{'B' if place == first else 'I'}-{span.label}"
            place += 1
        cut += place == first or (words[first][0], words[place - 1][1]) != (span.start, span.end)
    return found, cut


def spans_of(words: Sequence[tuple[int, int]], tags: Sequence[str]) -> Iterator[tuple[Span, int, int]]:
    """Yield the spans that tags say, and which words they are of, the last not among them.

    What goes on with a span that did not begin begins one: so does seqeval, after the CoNLL-2000 script.
    """
    first, last = 0, ""
    for place, tag in enumerate([*tags, OUTSIDE]):
        kind, _, label = tag.partition("-")
        if last and (kind != "I" or label != last):
            yield Span(words[first][0], words[place - 1][1], last), first, place
        if tag == OUTSIDE:
            last = ""
        elif kind == "B" or label != last:
            first, last = place, label
