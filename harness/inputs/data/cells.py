"""The one rule for cells and for names (labels, headers), from whatever file they come.

What cannot be seen makes no difference. In a name every kind of space is a plain one, those at its edges are no part of
it, accents are composed, and format characters are left out, but for joiners within it: scripts and emoji need them.
A text stays as it is, but for NUL characters and for format characters at its edges. A cell in which nothing can be
seen is empty.
"""

import functools
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

JOINERS = "\u200c\u200d"
# Unicode's category Cf without the joiners, the marks of numbers and verses (they are seen) and the tags of flags;
# and the control characters of ASCII that are no spaces; those above are letters of Windows-1252 read wrongly
HIDDEN = (
    "\x00-\x08\x0e-\x1b\x7f\xad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f"
    "\ufeff\ufff9-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0001"
)
# Nothing is seen of these alone; beside others they have a meaning: fillers, selectors of variants, tags
BLANK = (
    "\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\ufe00-\ufe0f\uffa0"
    "\U000e0020-\U000e007f\U000e0100-\U000e01ef"
)

SEEN = re.compile(f"[^\\s{HIDDEN}{JOINERS}{BLANK}]")
UNSEEN = re.compile(f"[\\s{HIDDEN}{JOINERS}]+")
WHOLE = re.compile(r"^([+-]?\d+)[.,]0+$")  # a whole number as a fraction
CURRENCY = re.compile(r"^[€$£]\s*|\s*(?:[€$£]|EUR|euros?)$", re.IGNORECASE)
# Thousands parted all in one way, and decimals by another sign
GROUPED = re.compile(r"([+-]?\d{1,3})(([ '’.,])\d{3}(?:\3\d{3})*)(?:([.,])(\d+))?")
POINTED = re.compile(r"[+-]?[1-9]\d{0,2}\.\d{3}")  # 24.500: in French and German often thousands
NO_NUMBER = "a label that is no number (35000, 35 000,50 and 24 500 € are)"
SPACE = re.compile(r"\r\n|\s")
FORMAT = re.compile(f"[{HIDDEN}]")
EDGES = re.compile(f"\\A[\\s{HIDDEN}]*[{HIDDEN}]|[{HIDDEN}][\\s{HIDDEN}]*\\Z")
ODD = re.compile(f"[^\\S ]|[{HIDDEN}{JOINERS}\u0300-\u036f]")  # what a name may lose: an accent by being composed

SHORT = 100  # characters of a name that is kept in memory
MISSING = ("nan", "NaN", "null", "NULL", "<NA>", "#N/A", "#NA")  # what programs write where there is nothing
DOUBTFUL = {"NA", "N/A", "n/a", "None", "-", *MISSING}  # the rest of pandas' list: people write these as words too


class Missing(str):
    """A cell's word that stands for nothing."""


class NoList(str):
    """A label's cell that is one text where a list of labels is wanted."""


class Number(float):
    """A label's cell that is a number."""


class NoNumber(str):
    """A label's cell that is no number where one is wanted; it says why."""


class Unnamed(str):
    """A label's cell of several, one of which is empty: between two separators, after the last, or in a list."""


def name(text: str) -> str:
    """Return a label or a header as it counts."""
    return _short(text) if len(text) <= SHORT else _name(text)


def _name(text: str) -> str:
    if not (text.isascii() and text.isprintable()):
        text = FORMAT.sub("", SPACE.sub(" ", unicodedata.normalize("NFC", text)))
    return text.strip(f" {JOINERS}")


_short = functools.lru_cache(1 << 14)(_name)  # the same few come again and again


def alike(label: str) -> str:
    """Return what names have in common that differ in case, spaces, what cannot be seen or a whole number's `.0`."""
    return WHOLE.sub(r"\1", UNSEEN.sub("", label.casefold()))


def text(cell: str) -> str:
    """Return a text as it counts."""
    if cell.isascii() and cell.isprintable():
        return cell
    return EDGES.sub("", cell.replace("\x00", ""))


def label(cell: Any) -> Any:
    """Return the name that a label's cell holds; a whole number is that number, 1.0 too; what is no name stays."""
    if isinstance(cell, (float, Decimal)) and cell == cell and abs(cell) != float("inf") and cell == int(cell):
        cell = int(cell)
    return name(str(cell)) if isinstance(cell, str | int) else cell


def number(cell: Any) -> Number | NoNumber:
    """Return the number that a cell holds: 35000, 35000.5, or as it is written: 35 000,50 or 24 500 €.

    A comma before three digits may part thousands or be the decimal one: it is asked about.
    """
    if isinstance(cell, str):
        cell = CURRENCY.sub("", name(cell))
        if re.fullmatch(r"[+-]?[1-9]\d{0,2},\d{3}", cell):
            return NoNumber("a number with a comma that may part thousands or decimals: write 1234 or 1.234")
        cell = _plain(cell)
    try:
        value = NoNumber(NO_NUMBER) if isinstance(cell, bool) else Number(cell)
    except (TypeError, ValueError, OverflowError):
        value = NoNumber(NO_NUMBER)
    return NoNumber("a number that is not finite") if isinstance(value, float) and not math.isfinite(value) else value


def _plain(cell: str) -> str:
    """Return a number as code writes it: 35000.50 for 35 000,50; what may be none stays as it is."""
    parts = GROUPED.fullmatch(cell)
    if parts and parts[3] != parts[4] and (len(parts[2]) > 4 or parts[3] not in ".," or parts[4]):
        return f"{parts[1]}{re.sub('[^0-9]', '', parts[2])}.{parts[5] or 0}"
    return cell.replace(",", ".") if re.fullmatch(r"[+-]?\d+,\d+", cell) else cell


def empty(cell: Any) -> bool:
    """Tell whether a cell holds nothing: nothing that can be seen, a word for nothing, or what is no number (nan)."""
    if isinstance(cell, Missing):
        return True
    if isinstance(cell, str):
        return SEEN.search(cell) is None
    return cell is None or (isinstance(cell, (float, Decimal)) and cell != cell)


def joined(cells: Sequence[Any]) -> Any:
    """Join the texts of a row that are not empty by a newline.

    The first cell that is no text is returned as it is; where all are empty, the first word that stands for nothing.
    """
    kept = [cell for cell in cells if not empty(cell)]
    if wrong := [cell for cell in kept if not isinstance(cell, str)]:
        return wrong[0]
    if not kept:
        return next((cell for cell in cells if isinstance(cell, Missing)), "")
    return "\n".join(map(text, kept))


def lost(cell: str, counts_as: str) -> Counter[str]:
    """Return which characters, but plain spaces at its edges, a cell holds and what it counts as does not."""
    found = Counter(ODD.findall(cell)) - Counter(ODD.findall(counts_as))
    return Counter({f"U+{ord(character):04X}": number for character, number in found.items()})


class Reading:
    """The rule as it is applied to the cells of a table, and how often it made a difference.

    `missing` are the words that stand for nothing; None: none is looked for. `drop_empty`: rows without text or label
    are left out, and no error. `task`: what labels are; of any number of them they lie in a list, or are parted by
    `separator`.
    """

    def __init__(
        self,
        missing: frozenset[str] | None = None,
        drop_empty: bool = False,
        task: str = "classification",
        separator: str | None = None,
    ) -> None:
        self.missing, self.drop_empty, self.task, self.separator = missing, drop_empty, task, separator
        self.longest = max(map(len, DOUBTFUL | (missing or frozenset()))) + 8
        self.parted = 0  # cells that the separator stands in
        self.points = [0, 0]  # numbers with a point, and those in which it may part thousands: 24.500
        self.words: Counter[str] = Counter()
        self.kept: Counter[str] = Counter()
        self.cleaned: Counter[str] = Counter()
        self.characters: Counter[str] = Counter()

    def texts(self, cells: Sequence[Any]) -> list[Any]:
        """Return the cells that make a row's text as they count."""
        return [
            self.see("texts", cell, text(cell)) if isinstance(cell, str) else cell for cell in map(self.word, cells)
        ]

    @property
    def several(self) -> bool:
        """Tell whether a text has any number of labels."""
        return self.task == "multilabel"

    def answer(self, cell: Any) -> Any:
        """Return what a label's cell says, by the task; the spans of a text were read together with it."""
        if self.task == "tagging":
            return cell
        if self.task == "regression":
            cell = self.word(cell)
            if isinstance(cell, str) and "." in cell:
                self.points[bool(POINTED.fullmatch(name(cell)))] += 1
            return self.label(cell) if empty(cell) else number(cell)
        return self.labels(cell) if self.several else self.label(cell)

    def label(self, cell: Any) -> Any:
        """Return a label's cell as it counts; an empty one is ""."""
        cell = self.word(cell)
        return "" if empty(cell) and not isinstance(cell, Missing) else self.see("labels", cell, label(cell))

    def labels(self, cell: Any) -> Any:
        """Return the names in a cell of several labels, sorted, each once; what is no list of labels stays.

        An empty cell of a text file has none of them, and so has an empty list; a list that is missing is empty.
        """
        cell = self.word(cell)
        if isinstance(cell, str) and not isinstance(cell, Missing) and self.separator:
            self.parted += self.separator in cell
            cell = [] if empty(cell) else cell.split(self.separator)
        if isinstance(cell, list):
            names = [self.label(one) for one in cell]
            if "" in names:
                return Unnamed()
            return tuple(sorted(set(names)) if all(isinstance(one, str) for one in names) else names)
        return self.label(cell) if empty(cell) or not isinstance(cell, str) else NoList(cell)

    def word(self, cell: Any) -> Any:
        """Return a cell, as Missing where it holds a word that stands for nothing."""
        if self.missing is None or not isinstance(cell, str) or len(cell) > self.longest:
            return cell
        word = name(cell)
        if word in self.missing:
            self.words[word] += 1
            return Missing(word)
        if word in DOUBTFUL:
            self.kept[word] += 1
        return cell

    def see(self, what: str, cell: Any, counts_as: Any) -> Any:
        """Return what a cell counts as, and take note where that is something else; spaces at its edges are nothing."""
        if isinstance(cell, Missing):
            return cell
        if isinstance(cell, str) and cell != counts_as and (characters := lost(cell, counts_as)):
            self.cleaned[what] += 1
            self.characters.update(characters)
        return counts_as

    def note(self, notes: dict[str, Any]) -> None:
        """Write into a table's notes what made a difference."""
        if self.separator:
            notes["parted_cells"] = self.parted
        if self.points[1] and not self.points[0]:  # no other has decimals after a point
            notes["may_be_thousands"] = self.points[1]
        if self.cleaned:
            notes["cleaned"] = {**self.cleaned, "characters": dict(self.characters.most_common())}
        if self.words:
            notes["read_as_empty"] = dict(self.words.most_common())
        if self.kept:
            notes["may_mean_empty"] = dict(self.kept.most_common())
