"""What label cells say: which names there are, and how the rows of a split have them, by the task.

Reading gives each row the number of what its cell says: a name, or a set of names where a text has several.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from harness.inputs.data.rows import Said, names_of
from recipes.contract.tasks import Task


@dataclass(frozen=True)
class Labels:
    """`said`: what cells say, by number. A method's `numbers` are those of some rows."""

    task: Task
    said: Sequence[Said]

    @property
    def several(self) -> bool:
        """Tell whether a text has any number of labels, and not just one."""
        return self.task.name == "multilabel"

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


def framed(data: bytes) -> bytes:
    """Return bytes with their length before them, so that what follows cannot be taken for a part of them."""
    return len(data).to_bytes(8, "little") + data
