"""What label cells say: which names there are, and how the rows of a split have them, by the task.

Reading gives each row the number of what its cell says: a name; a set of names where a text has several; spans; or a
number.
"""

import json
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from harness.inputs.data.rows import Said, names_of
from harness.inputs.data.spans import Spans, tag_names, tags, words_of
from recipes.contract.ragged import Ragged
from recipes.contract.split import WORDS
from recipes.contract.tasks import Task

STRATA = 10  # of numbers: so many of like size, by their order


@dataclass(frozen=True)
class Labels:
    """`said`: what cells say, by number. A method's `numbers` are those of some rows.

    `column`: what the label is called; it is the name of a number.
    """

    task: Task
    said: Sequence[Said]
    column: str = "number"

    @property
    def several(self) -> bool:
        """Tell whether a text has any number of labels, and not just one."""
        return self.task.name in ("multilabel", "tagging")

    @property
    def outputs(self) -> list[str]:
        """What the outputs of a model stand for: the names."""
        return self.names

    def report(self, train: np.ndarray) -> Mapping[str, object]:
        """Return what the data report says of the labels, beside their names; `train`: the numbers of its rows."""
        return {"task": self.task.name, "stratified_by": "the rarest of a text's labels"} if self.several else {}

    def write(self, texts: Iterable[str], numbers: np.ndarray, folder: Path, parted: bool) -> dict[str, int]:
        """Write the labels of a split's rows, and return what else to report; `parted`: its words were given."""
        self.task.write(self.of(numbers), folder)
        return {}

    @cached_property
    def met(self) -> list[str]:
        """The names, in the order they were met in."""
        return list(dict.fromkeys(name for one in self.said for name in names_of(one)))

    @cached_property
    def names(self) -> list[str]:
        """The names, sorted: what the model's outputs stand for."""
        return sorted(self.met)

    @cached_property
    def pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """What cells say, and each of its names, as two columns of numbers (pairs,); the names' are of `names`."""
        order = {name: number for number, name in enumerate(self.names)}
        found = [(number, order[name]) for number, one in enumerate(self.said) for name in names_of(one)]
        which, names = np.array(found, np.int64).reshape(-1, 2).T
        return which, names

    def rows(self, numbers: np.ndarray) -> np.ndarray:
        """Return how many of the rows have each name; int64 (names,)."""
        which, names = self.pairs
        times = np.bincount(numbers, minlength=len(self.said))
        return np.bincount(names, weights=times[which], minlength=len(self.names)).astype(np.int64)

    def with_name(self, numbers: np.ndarray, name: str) -> np.ndarray:
        """Return a mask of the rows that have a name."""
        which, names = self.pairs
        return np.isin(numbers, which[names == self.names.index(name)])

    def of(self, numbers: np.ndarray) -> np.ndarray:
        """Return the labels of the rows as the task has them: which name (rows,), or 1 for each (rows, names)."""
        which, names = self.pairs
        if not self.several:
            return names.astype(self.task.dtype)[numbers]
        holds = np.zeros((len(self.said), len(self.names)), self.task.dtype)
        holds[which, names] = 1
        return holds[numbers]

    def strata(self, numbers: np.ndarray) -> np.ndarray:
        """Return what the rows are stratified by, int64 (rows,): the name; the rarest of several, or having none.

        Of several names the rarest could least do without a row; the exact sets are often in one row alone.
        """
        which, names = self.pairs
        found = np.full(len(self.said), len(self.names), np.int64)
        rarest_last = np.argsort(-self.rows(numbers)[names], kind="stable")
        found[which[rarest_last]] = names[rarest_last]  # of those to one place the last stays
        if not self.several:
            return found[numbers]
        return np.unique(found[numbers], return_inverse=True)[1]

    def framed(self) -> list[bytes]:
        """Return, for digests, bytes for what cells say: no two alike."""
        parts = [b"".join(framed(name.encode()) for name in names_of(one)) for one in self.said]
        return [framed(part) for part in parts] if self.several else parts


class Tags(Labels):
    """Spans of a text, of which its words get tags. The names are those of the spans' labels."""

    @property
    def outputs(self) -> list[str]:
        return tag_names(self.names)

    def write(self, texts: Iterable[str], numbers: np.ndarray, folder: Path, parted: bool) -> dict[str, int]:
        order = {name: place for place, name in enumerate(self.outputs)}
        places, found, ends, cut = array("i"), array("i"), array("q", [0]), 0
        for text, number in zip(texts, numbers, strict=True):
            words = words_of(text, parted)
            its, within = tags(words, Spans(self.said[number]))
            found.extend(order[tag] for tag in its)
            places.extend(place for word in words for place in word)
            ends.append(len(found))
            cut += within
        offsets = np.array(ends, np.int64)
        self.task.write(Ragged(np.array(found, np.int32), offsets), folder)
        Ragged(np.array(places, np.int32).reshape(-1, 2), offsets).write(folder, WORDS)
        spans = sum(len(Spans(self.said[number])) for number in numbers)
        return {"words": len(found), "spans": spans, "spans_cut_in_words": cut}

    def framed(self) -> list[bytes]:
        return [framed(json.dumps(one).encode()) for one in self.said]


@dataclass(frozen=True)
class Numbers(Labels):
    """A number a text, which is scaled by those of train: to mean 0 and standard deviation 1."""

    scale: tuple[float, float] = (0.0, 1.0)

    @property
    def outputs(self) -> list[str]:
        return [self.column]

    def values(self, numbers: np.ndarray) -> np.ndarray:
        """Return the rows' own numbers, float64."""
        return np.array(self.said, np.float64)[numbers]

    def scaled_by(self, train: np.ndarray) -> "Numbers":
        """Return the same, scaled by the rows of train; where they are all alike, moved alone."""
        values = self.values(train)
        return replace(self, scale=(float(values.mean()), float(values.std()) or 1.0))

    def report(self, train: np.ndarray) -> Mapping[str, object]:
        told = {"mean": self.scale[0], "standard_deviation": self.scale[1]}
        return {"task": self.task.name, "stratified_by": f"{STRATA} groups of like size, by the number", "scale": told}

    def of(self, numbers: np.ndarray) -> np.ndarray:
        mean, deviation = self.scale
        return ((self.values(numbers) - mean) / deviation).astype(self.task.dtype)

    def strata(self, numbers: np.ndarray) -> np.ndarray:
        values = self.values(numbers)
        parts = min(STRATA, max(1, len(values) // STRATA))
        bounds = np.quantile(values, np.arange(1, parts) / parts)
        return np.unique(np.searchsorted(bounds, values), return_inverse=True)[1]

    def framed(self) -> list[bytes]:
        return [framed(repr(number).encode()) for number in self.values(np.arange(len(self.said))).tolist()]


KINDS: dict[str, type[Labels]] = {"tagging": Tags, "regression": Numbers}  # the others are names alone


def labels_of(task: Task, said: Sequence[Said], column: str) -> Labels:
    """Return what label cells say, as the task takes it."""
    return KINDS.get(task.name, Labels)(task, said, column)


def framed(data: bytes) -> bytes:
    """Return bytes with their length before them, so that what follows cannot be taken for a part of them."""
    return len(data).to_bytes(8, "little") + data
