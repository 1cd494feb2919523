"""A stream of rows of any size -> one flat file of texts, and a few numbers a row in memory; cells are checked."""

import hashlib
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from harness.base.errors import UserError
from harness.inputs.data.cells import Missing, NoList, NoNumber, Number, Reading, Unnamed, empty, joined
from harness.inputs.data.source import Notes, Row
from harness.inputs.data.spans import Spans, Unusable

MANY_LABELS = 1000  # above it classes must have ROWS_OF_MANY rows each, in the mean
ROWS_OF_MANY = 5
MOST_LABELS = 100_000  # above it that is looked at before all rows are read: memory holds the names
# What a label cell says: a name; some names, sorted; spans; or a number
Said = str | tuple[str, ...] | Spans | Number
SHOWN = 10  # row numbers listed in an error


def _numbers(code: str) -> Any:
    return field(default_factory=lambda: array(code))


@dataclass
class Spool:
    """The rows of one split of a source: texts in a file, one after the other; the rest in memory (36 bytes a row,
    8 for each column where several make the text, and 8 where rows of other texts are kept together).

    `labels` are numbers of what label cells say: of a name, or of a set of names where a text has several.

    `hashes` stand for the texts, or the pictures below the folder `pictures`, keyed by the split seed: 64 bits, so that
    among a million two different ones meet with a chance of 3 in 10^8 (they would go to the same split, no more).
    `groups` likewise stand for what keeps rows in one split; without any that is their text.
    """

    place: str
    texts: Path
    notes: Notes
    sizes: array = _numbers("q")  # UTF-8 bytes
    characters: array = _numbers("q")
    labels: array = _numbers("i")
    row_ids: array = _numbers("q")
    hashes: array = _numbers("Q")
    groups: array = _numbers("Q")
    parts: list[array] = field(default_factory=list)  # likewise for each column that makes the text, where several do
    pictures: Path | None = None

    def __len__(self) -> int:
        return len(self.sizes)

    def array(self, name: str) -> np.ndarray:
        """Return one of the columns as a numpy array (int64; int32 for labels, uint64 for hashes)."""
        return np.array(getattr(self, name))

    def picture(self, name: str) -> bytes:
        """Return the bytes of a picture's file; UserError where it is gone."""
        assert self.pictures is not None
        try:
            return (self.pictures / name).read_bytes()
        except OSError as error:
            raise UserError(f"{self.pictures / name} cannot be read any more: {error.strerror}.") from None

    def stream(self) -> Iterator[bytes]:
        """Yield the texts, in their order."""
        with open(self.texts, "rb", buffering=1 << 20) as handle:
            for size in self.sizes:
                yield handle.read(size)


def fill(rows: Spool, source: Iterable[Row], said: dict[Said, int], seed: int, how: Reading) -> Iterator[int]:
    """Take the rows of `source` into the spool `rows`; yield how many there are every 10,000 and at the end.

    `said` maps what label cells say to numbers in order of appearance; new ones are added. Raises UserError for cells
    that are empty (unless `how` drops them) or no text, and for a label column that holds free text.
    """
    wrong, key, met, here, given = Wrong(), str(seed).encode(), set[int](), dict[str, None](), 0
    with open(rows.texts, "wb", buffering=1 << 20) as handle:
        for number, cells, label, *group in source:
            parts = how.texts(cells) if isinstance(cells, list) else []
            text = joined(parts) if parts else cells.strip() and cells
            label = how.answer(label)
            problem = problem_of(text, label, how.several)
            if problem:
                wrong.add(problem, number)
                continue
            data = text.encode()
            handle.write(data)
            rows.sizes.append(len(data))
            rows.characters.append(len(text))
            rows.labels.append(said.setdefault(label, len(said)))
            names = names_of(label)
            given += len(names)
            if rows.labels[-1] not in met:
                met.add(rows.labels[-1])
                here |= dict.fromkeys(names)
            rows.row_ids.append(number)
            rows.hashes.append(_hash(rows.picture(text) if rows.pictures else data, key))
            rows.groups.extend(_hash(word.encode(), key) for word in group)
            for values, part in zip(rows.parts, parts, strict=False):  # of one column alone there are none
                values.append(0 if empty(part) else _hash(part.encode(), key))
            if len(rows) % 10_000 == 0:
                if len(here) > MOST_LABELS and _few_rows(given, len(here)):
                    raise _free_text(rows.place, list(here), len(rows), how.several)
                yield len(rows)
    wrong.settle(rows.place, how.drop_empty, rows.notes)
    how.note(rows.notes)
    if len(rows) > 100 and _few_rows(given, len(here)):
        raise _free_text(rows.place, list(here), len(rows), how.several)
    yield len(rows)


def names_of(said: Said) -> tuple[str, ...]:
    """Return the names that a label cell says: of spans their labels, of a number none."""
    if isinstance(said, (str, Number)):
        return (said,) if isinstance(said, str) else ()
    return said.names if isinstance(said, Spans) else said


def _hash(data: bytes, key: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(data, digest_size=8, key=key).digest(), "little")


def _few_rows(given: int, names: int) -> bool:
    """Tell whether the names are given to so few rows each, in the mean, that they are no labels."""
    return given < (ROWS_OF_MANY if names > MANY_LABELS else 2) * names


def problem_of(text: Any, label: Any, several: bool = False) -> str | None:
    """Say what is wrong with a row's text and label, or labels, if anything; an empty one is "" or the word for it."""
    known = isinstance(label, (Spans, Number))
    labels = names_of(label) if known else label if isinstance(label, tuple) else [label]
    for cell, what in ((text, "text"), *((one, "label") for one in labels)):
        if isinstance(cell, (Unusable, NoNumber)):
            return str(cell)
        if isinstance(cell, NoList):
            return "one label where a list is wanted (data.label_separator=… parts several in a cell)"
        if isinstance(cell, Unnamed):
            return "one of several labels is empty: between two separators, after the last, or in a list"
        if cell == "" or isinstance(cell, Missing):
            nothing = f"an empty {what} (`{cell}`)" if isinstance(cell, Missing) else f"an empty {what}"
            no_list = what == "label" and several and not isinstance(label, tuple)
            return f"{nothing}, and no empty list, which is a text without labels" if no_list else nothing
        if not isinstance(cell, str):
            wanted = "text" if what == "text" else "text or whole number"
            kind = "a list in a list" if several and isinstance(cell, list) else type(cell).__name__
            lists = "; task=multilabel takes lists, task=tagging spans" if what == "label" and kind == "list" else ""
            return f"a {what} that is no {wanted} ({kind}{lists})"
    try:
        text.encode()
        "".join(labels).encode()
    except UnicodeEncodeError:
        return "characters that are not valid Unicode (half of a surrogate pair)"
    return None


class Wrong:
    """Rows with cells that cannot be used: how many of each problem, and the first row numbers."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.first: dict[str, list[int]] = {}

    def add(self, problem: str, row: int) -> None:
        self.counts[problem] = self.counts.get(problem, 0) + 1
        first = self.first.setdefault(problem, [])
        if len(first) < SHOWN:
            first.append(row)

    def settle(self, place: str, drop_empty: bool, notes: Notes) -> None:
        """Note the empty rows dropped; raise UserError for what is not to be dropped."""
        nothing = [problem for problem in self.counts if problem.startswith("an empty")]
        errors = [problem for problem in self.counts if not (drop_empty and problem in nothing)]
        if not errors:
            notes["dropped_rows"] = sum(self.counts.values())
            return
        lines = [f"{place}: these rows cannot be used."]
        lines += [f"  {problem}: {listed(self.first[problem], self.counts[problem])}" for problem in errors]
        lines.append("Row 1 is the first row of data, after the header if there is one. Mend these rows.")
        if set(errors) & set(nothing):
            lines[-1] += " Empty ones can be left out: data.empty_rows=drop"
        if any("`" in problem for problem in errors):
            lines.append("If a word stands for itself there, and not for an empty cell: data.missing=[]")
        raise UserError("\n".join(lines))


def listed(first: Sequence[int], count: int) -> str:
    """Return the first row numbers in words, and how many there are where that is not plain."""
    more = f", … ({count:,} in all)" if count > len(first) else ""
    return f"row{'s' if count > 1 else ''} {', '.join(map(str, first))}{more}"


def _free_text(place: str, names: Sequence[str], rows: int, several: bool) -> UserError:
    examples = "; ".join(repr(name[:40]) for name in names[:3])
    column, label = ("labels", "Labels") if several else ("class", "Classes")
    return UserError(
        f"{place}: the label column looks like free text: {len(names):,} different labels in the first {rows:,} rows, "
        f"such as {examples}.\nGive the column of the {column} with data.label=COLUMN. {label} need 2 rows each in the "
        f"mean, and {ROWS_OF_MANY} where there are more than {MANY_LABELS:,}."
    )
