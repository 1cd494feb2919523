"""What is answered to a text, by the task: the columns that a file gets, and the lines on the screen."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from harness.use.saved import Saved
from recipes.contract.tasks import Task

DIGITS = 6  # of a probability


class Answers(ABC):
    """The answers of a model with these names; `every`: with the probability of each of them."""

    columns: tuple[str, ...]  # the first is text, the others are numbers

    def __init__(self, task: Task, names: Sequence[str], every: bool = False):
        self.task, self.names, self.every = task, names, every

    def added(self, prefix: str) -> list[str]:
        """Return the names of the columns that a file gets."""
        each = [f"probability_{name}" for name in self.names] if self.every else []
        return [f"{prefix}{column}" for column in (*self.columns, *each)]

    def rows(self, logits: np.ndarray) -> Iterator[list[Any]]:
        """Yield the values of these columns for each row of logits (rows, names); none where they are no numbers."""
        for row in self.task.activation(logits):
            if np.isnan(row[0]):
                yield [None] * len(self.added(""))
            else:
                each = row if self.every else ()
                yield [*self.of(row), *(round(float(value), DIGITS) for value in each)]

    def lines(self, logits: np.ndarray) -> Iterator[list[str]]:
        """Yield the lines that say on the screen what is answered to each row of logits."""
        for row in self.task.activation(logits):
            shown: list[int] = np.argsort(row)[::-1].tolist() if self.every else self.chosen(row)
            yield [f"{row[place]:.3f}  {self.names[place]}" for place in shown] or ["none of its labels"]

    @abstractmethod
    def of(self, row: np.ndarray) -> list[Any]:
        """Return the values of `columns` from the probabilities of a row."""

    @abstractmethod
    def chosen(self, row: np.ndarray) -> list[int]:
        """Return the places of the names that are answered, the likeliest first."""


class OneLabel(Answers):
    """Classification: the likeliest label and its probability."""

    columns = ("label", "probability")

    def of(self, row: np.ndarray) -> list[Any]:
        best = int(row.argmax())
        return [self.names[best], round(float(row[best]), DIGITS)]

    def chosen(self, row: np.ndarray) -> list[int]:
        return [int(row.argsort()[-1])]


class SeveralLabels(Answers):
    """Multilabel: those likelier than not, as a list where there are lists, elsewhere parted by `separator`."""

    columns = ("labels",)

    def __init__(self, task: Task, names: Sequence[str], every: bool = False, separator: str | None = None):
        super().__init__(task, names, every)
        self.separator = separator

    def of(self, row: np.ndarray) -> list[Any]:
        said = [self.names[place] for place in np.flatnonzero(row > 0.5).tolist()]
        return [said if self.separator is None else self.separator.join(said)]

    def chosen(self, row: np.ndarray) -> list[int]:
        return [place for place in np.argsort(row)[::-1].tolist() if row[place] > 0.5]


def answers_of(run: Saved, every: bool, lists: bool = False) -> Answers:
    """Return how a run answers; `lists`: several labels are a list, and not text."""
    if run.task.name == "multilabel":
        given = run.config["data"].get("label_separator")
        separator = None if lists else given or separator_of(run.job["labels"])
        return SeveralLabels(run.task, run.job["labels"], every, separator)
    return OneLabel(run.task, run.job["labels"], every)


def separator_of(names: Sequence[str]) -> str:
    """Return what can part these labels, since none of them holds it: a semicolon, a bar, or a new line."""
    return next(one for one in (";", "|", "\n") if not any(one in name for name in names))
