"""The answer's form: what `scripts/choose.py --json` gives, and what its text is made of."""

from collections.abc import Mapping
from typing import Any, TypedDict


class Criterion(TypedDict):
    """A Check as plain values: what is wanted of a library in one respect, what it has, and how one knows."""

    name: str
    title: str
    wanted: str | None
    value: Any  # a figure, or whatever a trait declares
    shown: str
    holds: bool | None
    source: str | None
    date: str | None
    runs: list[str]


class Described(TypedDict):
    """What is said of a library by itself and beside those that it is compared with; `criteria` has all its checks."""

    name: str
    what: str
    pick: str
    status: str  # fits, not known, ruled out
    measured: bool
    on_front: bool | None  # None: it is ruled out, or not measured
    best_in: list[str]  # titles of figures
    beaten_by: list[str]
    equal: dict[str, list[str]]  # the others, each with the titles of what they cannot be told apart in
    not_told_apart: list[str]
    reasons: list[Criterion]
    broken: list[Criterion]
    not_known: list[Criterion]
    criteria: list[Criterion]


class Ranked(Described):
    """A library in its place."""

    rank: int | None  # None: it is ruled out, or not measured where others are
    command: str  # that starts with it


class Notes(TypedDict):
    """What one should know of the results; all that is said where there are none."""

    notes: list[str]


class Results(Notes, TypedDict("From", {"from": str}, total=False), total=False):  # `from` is a word of Python's
    """Which results the figures are from: whose, where they lie, and what they share."""

    places: list[str]
    group: str
    task: str
    machine: str
    data: str
    seeds: dict[str, int]  # how many, by library
    lacking: dict[str, list[str]]  # of what compare's rules ask, by library


class Aside(TypedDict):
    """A library among the results that nothing is ordered by."""

    name: str
    lacking: list[str]
    figures: dict[str, str]  # as they are shown, by measure


class Beside(Results):
    """Own results that are too weak to order by."""

    libraries: list[Aside]


class Step(TypedDict):
    """What to do, and the command that does it."""

    do: str
    command: str


class Recommendation(TypedDict):
    """The library to take, None where there is none, why, and what to do; the best step is the last."""

    take: str | None
    why: list[str]
    steps: list[Step]


class Answer(TypedDict):
    """The whole answer."""

    question: Mapping[str, object]  # the fields of Question
    constraints: dict[str, str]  # what is wanted, by criterion
    measured: Results
    front: list[str]  # titles of the figures that it takes
    rule: list[str]  # how the order is made
    libraries: list[Ranked]  # in that order
    beside: Beside | None
    advice: list[str]  # where nothing is left: what rules out most
    recommendation: Recommendation
