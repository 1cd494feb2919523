"""A library as it stands in the answer: its checks, its figures, its place in the order, and whom it equals."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harness.results import reading
from harness.results.choose.criteria import Check, checks
from harness.results.choose.evidence import Evidence, Figure
from harness.results.choose.question import Question
from harness.results.traits import Library

FRONT = ("quality", "train_minutes", "p95_ms", "memory_mb", "environment_mb")
STATUSES = ("fits", "not known", "ruled out")


@dataclass
class Entry:
    """A library with all its checks, and where it comes to stand."""

    library: Library
    checks: list[Check]
    figures: dict[str, Figure]
    measured: bool  # or, where nothing at all is, as well known as the others
    layer: int | None = None  # 0: on the front; None: not measured, or not all of what the front takes

    @property
    def name(self) -> str:
        return self.library.name

    @property
    def status(self) -> str:
        if self.broken:
            return "ruled out"
        return "not known" if any(check.unknown for check in self.checks) else "fits"

    @property
    def broken(self) -> list[Check]:
        return [check for check in self.checks if check.broken]

    @property
    def left(self) -> bool:
        """Tell whether one may take it: nothing speaks against it, and nothing that was not measured is hoped for."""
        return self.status == "fits" or (self.status == "not known" and self.measured)

    def point(self, front: Sequence[str]) -> list[float]:
        """Return what the front compares; less is better."""
        return [(-1 if one.measure.more else 1) * one.value for one in map(self.figures.__getitem__, front)]

    def place(self) -> tuple[int, float]:
        """Return what decides the rank: the status, then the front; what is hoped for stands after all measured."""
        hoped = not self.measured and self.status != "fits"
        return STATUSES.index(self.status) + hoped * len(STATUSES), float("inf") if self.layer is None else self.layer

    def key(self) -> tuple[Any, ...]:
        """Return the order within and across ranks."""
        quality = self.point(["quality"]) if "quality" in self.figures else [0.0]
        return *self.place(), not self.measured, *quality, self.name


def ordered(question: Question, libraries: Sequence[Library], evidence: Evidence, front: Sequence[str]) -> list[Entry]:
    """Return the libraries in the order of the answer, each measured one with its front."""
    entries = []
    for library in libraries:
        figures = evidence.figures.get(library.name, {})
        known = bool(figures) or not evidence.group
        entries.append(Entry(library, checks(question, library, evidence), figures, known))
    for status in STATUSES:
        layered([entry for entry in entries if entry.status == status], front)
    return sorted(entries, key=Entry.key)


def layered(entries: list[Entry], front: Sequence[str]) -> None:
    """Give each measured entry its front: 0, and, without those, 1, 2, …"""
    left = [entry for entry in entries if front and entry.figures]
    layer = 0
    while left:
        on = set(reading.pareto_front([entry.point(front) for entry in left]))
        for number in on:
            left[number].layer = layer
        left = [entry for number, entry in enumerate(left) if number not in on]
        layer += 1


def rivals(entry: Entry, entries: Sequence[Entry]) -> list[Entry]:
    """Return whom an entry is compared with: the measured ones of its status; one that is ruled out with nobody."""
    if entry.broken or not entry.figures:
        return []
    return [other for other in entries if other.status == entry.status and other.figures and other is not entry]


def equals(one: Entry, other: Entry, front: Sequence[str], evidence: Evidence) -> list[str]:
    """Return the titles of what compare cannot tell two libraries apart in; it goes by test for valid."""
    measures = ["test" if name == "quality" else name for name in front]
    return [evidence.measures[name].title for name in measures if evidence.equal(name, one.name, other.name)]
