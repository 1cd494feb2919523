"""What is answered to a text, by the task: the columns that a file gets, and the lines on the screen."""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypedDict

import numpy as np

from harness.inputs.data.spans import spans_of
from harness.use.predict import Tagged
from harness.use.saved import Saved
from recipes.contract.tasks import Task

DIGITS = 6  # of a probability


class Answers(ABC):
    """The answers of a model with these names; `every`: with the probability of each of them.

    Outputs are of some texts: (texts, outputs), not a number (nan) where a text is empty; of texts that are tagged a
    `Tagged` each, or None.
    """

    columns: tuple[str, ...]  # the others than the first are numbers
    first = "string"  # what the first is, in parquet's words

    def __init__(self, task: Task, names: Sequence[str], every: bool = False):
        self.task, self.names, self.every = task, names, every

    def added(self, prefix: str) -> list[str]:
        """Return the names of the columns that a file gets."""
        each = [f"probability_{name}" for name in self.names] if self.every else []
        return [f"{prefix}{column}" for column in (*self.columns, *each)]

    def rows(self, outputs: np.ndarray | Sequence[Tagged | None]) -> Iterator[list[Any]]:
        """Yield the values of these columns for each text; None where it is empty."""
        nothing = [None] * len(self.added(""))
        for one in self.meant(outputs):
            yield nothing if one is None else self.of(one)

    def lines(self, outputs: np.ndarray | Sequence[Tagged | None]) -> Iterator[list[str]]:
        """Yield the lines that say on the screen what is answered to each text."""
        for one in self.meant(outputs):
            yield self.shown(one)

    def meant(self, outputs: Any) -> Iterable[Any]:
        """Yield of each text what its outputs mean, None of an empty one."""
        for row in self.task.activation(outputs):
            yield None if np.isnan(row[0]) else row

    @abstractmethod
    def of(self, one: Any) -> list[Any]:
        """Return the values of the columns."""

    @abstractmethod
    def shown(self, one: Any) -> list[str]:
        """Return the lines for the screen."""


class Names(Answers):
    """Answers that are names, with their probabilities."""

    def of(self, one: np.ndarray) -> list[Any]:
        each = one if self.every else ()
        return [*self.said(one), *(round(float(value), DIGITS) for value in each)]

    def shown(self, one: np.ndarray) -> list[str]:
        places: list[int] = np.argsort(one)[::-1].tolist() if self.every else self.chosen(one)
        return [f"{one[place]:.3f}  {self.names[place]}" for place in places] or ["none of its labels"]

    @abstractmethod
    def said(self, one: np.ndarray) -> list[Any]:
        """Return the values of `columns` from the probabilities of a text."""

    @abstractmethod
    def chosen(self, one: np.ndarray) -> list[int]:
        """Return the places of the names that are answered, the likeliest first."""


class OneLabel(Names):
    """Classification: the likeliest label and its probability."""

    columns = ("label", "probability")

    def said(self, one: np.ndarray) -> list[Any]:
        best = int(one.argmax())
        return [self.names[best], round(float(one[best]), DIGITS)]

    def chosen(self, one: np.ndarray) -> list[int]:
        return [int(one.argsort()[-1])]


class SeveralLabels(Names):
    """Multilabel: those likelier than `threshold`, as a list where there are lists, elsewhere parted by `separator`."""

    columns = ("labels",)

    def __init__(
        self,
        task: Task,
        names: Sequence[str],
        every: bool = False,
        separator: str | None = None,
        threshold: float = 0.5,
    ):
        super().__init__(task, names, every)
        self.separator, self.threshold = separator, threshold

    def said(self, one: np.ndarray) -> list[Any]:
        found = [self.names[place] for place in np.flatnonzero(one > self.threshold).tolist()]
        return [found if self.separator is None else self.separator.join(found)]

    def chosen(self, one: np.ndarray) -> list[int]:
        return [place for place in np.argsort(one)[::-1].tolist() if one[place] > self.threshold]


class Answered(TypedDict):
    """A span that is answered: its characters, its label, its text, and the probability of its least likely tag."""

    start: int
    end: int
    label: str
    text: str
    probability: float


class OfSpans(Answers):
    """Tagging: the spans, a list of objects where there are `lists`, else the same as JSON."""

    columns = ("spans",)

    def __init__(self, task: Task, names: Sequence[str], lists: bool = True):
        super().__init__(task, names)
        self.lists = lists

    def meant(self, outputs: Sequence[Tagged | None]) -> Iterable[list[Answered] | None]:
        return (None if one is None else list(self.spans(one)) for one in outputs)

    def spans(self, one: Tagged) -> Iterator[Answered]:
        probabilities = self.task.activation(one.logits)
        tags = [self.names[place] for place in one.logits.argmax(1).tolist()]
        for span, first, end in spans_of(one.words, tags):
            sure = round(float(probabilities[first:end].max(1).min()), DIGITS)
            text = one.text[span.start : span.end]
            yield Answered(start=span.start, end=span.end, label=span.label, text=text, probability=sure)

    def of(self, one: list[Answered]) -> list[Any]:
        return [one if self.lists else json.dumps(one, ensure_ascii=False)]

    def shown(self, one: list[Answered]) -> list[str]:
        said = [f"{span['probability']:.3f}  {span['label']}: {span['text']}" for span in one]
        return said or ["none of its spans"]


class OneNumber(Answers):
    """Regression: the number, in its own unit."""

    columns = ("number",)
    first = "float64"

    def __init__(self, task: Task, names: Sequence[str], scale: tuple[float, float]):
        super().__init__(task, names)
        self.scale = scale

    def of(self, one: np.ndarray) -> list[Any]:
        mean, deviation = self.scale
        return [float(f"{deviation * float(one[0]) + mean:.7g}")]  # float32 has no more

    def shown(self, one: np.ndarray) -> list[str]:
        return [f"{self.names[0]}: {self.of(one)[0]:g}"]


def answers_of(run: Saved, every: bool, lists: bool = True, threshold: float = 0.5) -> Answers:
    """Return how a run answers; `lists`: several labels, or spans, are a list, and not text."""
    names = run.job["labels"]
    if run.task.name == "tagging":
        return OfSpans(run.task, names, lists)
    if run.task.name == "regression":
        return OneNumber(run.task, names, run.scale)
    if run.task.name == "multilabel":
        given = run.config["data"].get("label_separator")
        return SeveralLabels(run.task, names, every, None if lists else given or separator_of(names), threshold)
    return OneLabel(run.task, names, every)


def separator_of(names: Sequence[str]) -> str:
    """Return what can part these labels, since none of them holds it: a semicolon, a bar, or a new line."""
    return next(one for one in (";", "|", "\n") if not any(one in name for name in names))
