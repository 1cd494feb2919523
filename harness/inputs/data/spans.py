"""Spans of a text that bear a label: read from what tools export, held to the text, and turned into a tag a word.

Three forms are read: a text with its spans, as Label Studio, doccano and Prodigy export them (`{start, end, label}`,
`[start, end, label]`, characters counted from 0, the end not among them); lists of words and of their tags; and files
with a word and its tag a line (CoNLL). Tags are IOB2: B-LABEL begins a span, I-LABEL goes on with it, O is in none.
"""

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from harness.base.errors import nearest
from harness.inputs.data.cells import JOINERS

# What belongs to the letter before it: accents of a text that has them apart, vowel signs of Indic scripts
MARKS = JOINERS + "".join(sign for sign in map(chr, range(0x300, 0x20000)) if unicodedata.category(sign)[0] == "M")
# Letters and digits, or one sign: what a tag is given to in a text without words
PATTERN = r"\w[\w{marks}]*|[^\w\s][{marks}]*"
WORD = re.compile(PATTERN.format(marks=MARKS))
OUTSIDE = "O"
SOME = "(data.span_labels=[LABEL,…] takes those of some labels alone)"
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


@dataclass
class Wanted:
    """The labels whose spans are taken, None: all; and those that were met."""

    labels: frozenset[str] | None = None
    met: set[str] = field(default_factory=set)

    def takes(self, label: str) -> bool:
        self.met.add(label)
        return self.labels is None or label in self.labels

    def unknown(self) -> str:
        """Return what to say of labels that no span has; nothing, where there are none such."""
        lacking = sorted((self.labels or set()) - self.met)
        if not lacking:
            return ""
        there = f"there are {', '.join(sorted(self.met))}" if self.met else "there are no spans"
        return f"no span has the label `{lacking[0]}`; {there}.{nearest(lacking[0], self.met)}"


def words_of(text: str, parted: bool = False) -> list[tuple[int, int]]:
    """Return where the words of a text stand; `parted`: they were given, and stand between single spaces."""
    return [match.span() for match in (re.finditer(r"[^ ]+", text) if parted else WORD.finditer(text))]


def read(text: str, cell: Any, wanted: Wanted | None = None) -> Spans | Unusable:
    """Return the spans that a cell says of a text, a list or one as JSON: those with the labels that are wanted."""
    wanted = wanted or Wanted()
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
        if span.start > span.end:
            return Unusable("a span that ends before it begins")
        if not 0 <= span.start <= span.end <= len(text):
            return Unusable("a span outside the text")
        if not text[span.start : span.end].strip():
            return Unusable("a span of nothing, or of spaces alone")
        if isinstance(one, dict) and isinstance(one.get("text"), str) and not _alike(one["text"], text, span):
            return Unusable("a span whose own `text` is not what stands there (is an emoji counted as two characters?)")
        if wanted.takes(span.label):
            found.append(span)
    found.sort()
    if any(one.end > other.start for one, other in zip(found, found[1:], strict=False)):
        return Unusable(f"spans that overlap {SOME}")
    if any(_share_a_word(text, *pair) for pair in zip(found, found[1:], strict=False)):
        return Unusable(f"spans that overlap once they are widened to whole words: a word has one tag {SOME}")
    return Spans(found)


def _alike(own: str, text: str, span: Span) -> bool:
    """Tell whether a span's own text is that of its place; spaces, and `\\n` as some tools write it, do not count."""
    return len({re.sub(r"\\n|\s", "", part) for part in (own, text[span.start : span.end])}) == 1


def _share_a_word(text: str, one: Span, other: Span) -> bool:
    return WORD.fullmatch(text, one.end - 1, other.start + 1) is not None


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


def joined(words: Any, tags: Any, wanted: Wanted | None = None) -> tuple[str, Spans | Unusable]:
    """Return the text that words make, one space between them, and the spans that their tags say."""
    if not _texts(words) or not _texts(tags):
        return str(words), Unusable("words or tags that are no list of texts")
    text = " ".join(words)
    if any(not word or " " in word for word in words):
        return text, Unusable("a word that is empty or has a space in it")
    if len(words) != len(tags):
        return text, Unusable("another number of tags than of words")
    wanted, found, place, last = wanted or Wanted(), list[Span](), 0, OUTSIDE
    for word, tag in zip(words, tags, strict=True):
        if problem := wrong_tag(tag, last):
            return text, problem
        end, (kind, _, label), last = place + len(word), tag.partition("-"), tag
        if kind == "I":
            found[-1] = Span(found[-1].start, end, label)
        elif kind == "B":
            found.append(Span(place, end, label))
        place = end + 1
    return text, Spans(span for span in found if wanted.takes(span.label))


def wrong_tag(tag: str, last: str) -> Unusable | None:
    """Return what is wrong with a tag after the `last` one."""
    kind, _, label = tag.partition("-")
    if tag != OUTSIDE and (kind not in ("B", "I") or not label):
        return Unusable("a tag that is neither O, nor B-LABEL, nor I-LABEL (IOB2)")
    if kind == "I" and last.partition("-")[2] != label:
        return Unusable("a tag that goes on with a span that does not begin: I-LABEL after another")
    return None


def _texts(cell: Any) -> bool:
    return isinstance(cell, list) and all(isinstance(one, str) for one in cell)


def tag_names(labels: Iterable[str]) -> list[str]:
    """Return the tags of spans with these labels, sorted."""
    return sorted([OUTSIDE, *(f"{kind}-{label}" for label in labels for kind in "BI")])


def tags(words: Sequence[tuple[int, int]], spans: Spans) -> tuple[list[str], int]:
    """Return the tag of each word, and how many spans do not begin and end where words do, which they get whole."""
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
