"""What was measured: the results that a question is answered from, and the figures of each library among them."""

import math
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness import identity, results
from harness.choose.question import Question
from harness.errors import UserError, nearest
from harness.home import ROOT
from harness.results import Group, Result

T_95 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120,
        2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042)  # fmt: skip
# Student's t at 97.5 % for 1, 2, … degrees of freedom; scipy would take longer to import than all else


@dataclass(frozen=True)
class Measure:
    """A figure that results have. `timed`: it counts only where the machine was quiet."""

    title: str
    key: str
    unit: str = ""
    more: bool = False  # more is better
    timed: bool = False
    per: float = 1.0

    @property
    def quality(self) -> bool:
        """Tell whether it is a score, which scatters over seeds around a mean of its own: it has an interval."""
        return not self.unit

    def of(self, result: Result) -> float | None:
        """Return the figure of a run; a key with a * has the best of its values, as over the batch sizes measured."""
        if self.timed and not result.timed:
            return None
        if "*" in self.key:
            before, _, after = self.key.partition("*")
            found = [value for key, value in result.row.items() if key.startswith(before) and key.endswith(after)]
            return max((value for value in found if value is not None), default=None)
        value = result.row.get(self.key)
        return None if value is None else value / self.per


MEASURES = {
    "quality": Measure("valid macro-F1", "valid.macro_f1", more=True),
    "test": Measure("test macro-F1", "test.macro_f1", more=True),
    "train_minutes": Measure("training time", "train.seconds", "min", timed=True, per=60),
    "p95_ms": Measure("latency p95", "inference.batch1.p95_ms", "ms", timed=True),
    "texts_per_second": Measure(
        "best throughput", "inference.batch*.texts_per_second", "texts/s", more=True, timed=True
    ),
    "memory_mb": Measure("peak memory", "memory.peak_rss_mb", "MB"),
    "model_mb": Measure("model size", "model.size_mb", "MB"),
    "environment_mb": Measure("environment size", "environment.size_mb", "MB"),
}


@dataclass(frozen=True)
class Figure:
    """A measured figure of a library: one value a seed, each with its run."""

    values: tuple[float, ...]
    runs: tuple[Path, ...]

    @property
    def mean(self) -> float:
        return math.fsum(self.values) / len(self.values)

    @property
    def interval(self) -> tuple[float, float] | None:
        """Return the 95 % interval of the mean over seeds (Student's t); None of one seed."""
        degrees = len(self.values) - 1
        if not degrees:
            return None
        t = T_95[min(degrees, len(T_95)) - 1]
        squares = math.fsum((value - self.mean) ** 2 for value in self.values)
        half = t * (squares / degrees / len(self.values)) ** 0.5
        return self.mean - half, self.mean + half

    @property
    def range(self) -> tuple[float, float]:
        return min(self.values), max(self.values)


@dataclass
class Evidence:
    """The results that count: one group, which may be compared. `group` is None where nothing is measured."""

    group: Group | None = None
    own: bool = False
    places: list[Path] = field(default_factory=list)
    figures: dict[str, dict[str, Figure]] = field(default_factory=dict)  # of each library, by measure
    notes: list[str] = field(default_factory=list)


def gather(question: Question, names: Collection[str], places: Sequence[Path]) -> Evidence:
    """Return the figures of the libraries `names`: from `places`, else from own results, else from the reference's.

    Own results count where they have two libraries or more to compare, or where there is nothing else.
    """
    if places:
        own = results.REFERENCE not in [place.absolute() for place in places]
        return found(question, names, list(places), own) or Evidence(notes=[nothing(question, places)])
    mine = found(question, names, [question.outputs], own=True) if question.outputs.is_dir() else None
    if mine and len(mine.figures) > 1:
        return mine
    theirs = found(question, names, [results.REFERENCE], own=False) if results.REFERENCE.is_dir() else None
    if mine and theirs:
        (only,) = mine.figures
        outputs = shorter(question.outputs)
        theirs.notes.append(f"{outputs} has {only} alone, which compares nothing: --results {outputs} takes it")
    return theirs or mine or Evidence(notes=[nothing(question, [question.outputs, results.REFERENCE])])


def nothing(question: Question, places: Sequence[Path]) -> str:
    """Say that there is no result to go by."""
    known = {path.stem for path in (ROOT / "conf" / "data").glob("*.yaml")}
    if question.data and question.data not in known:
        hint = nearest(question.data, known)
        raise UserError(f"--data {question.data}: no result is of it, and there is no such data set.{hint}", code=2)
    what = f" data={question.data}" if question.data else ""
    where = ", ".join(map(shorter, places))
    return f"nothing is measured: no finished run of protocol=native{what} on the {question.device} in {where}"


def found(question: Question, names: Collection[str], places: list[Path], own: bool) -> Evidence | None:
    """Return the figures of the group with most libraries, then most runs, of the results that answer the question."""
    usable = [one for one in results.read(*places) if one.name in names and counts(one, question)]
    groups = results.grouped(usable)
    if not groups:
        return None
    ranked = sorted(
        groups, key=lambda group: (-len({one.name for one in groups[group]}), -len(groups[group]), group.title)
    )
    group, *others = ranked
    evidence = Evidence(group, own, places)
    chosen, apart = identity.contestants(groups[group])
    evidence.notes += [f"left apart: {one}" for one in apart]
    for name, runs in chosen.items():
        evidence.figures[name] = figures(list({one.row["seed"]: one for one in runs}.values()))
    for other in others:
        evidence.notes.append(f"not looked at: {other.title} ({len(groups[other])} runs)")
    if question.where == "both":
        evidence.notes.append("the figures are those on processors; --where gpu goes by those on a GPU")
    noisy = sum(not one.timed for one in groups[group])
    if noisy:
        evidence.notes.append(
            f"times of {noisy} of {len(groups[group])} runs do not count, their machine was not seen to be quiet: "
            "measure.noisy=true lets them"
        )
    return evidence


def counts(one: Result, question: Question) -> bool:
    """Tell whether a result answers the question: native, finished, on the right device and data."""
    row = one.row
    on_gpu = "gpu" in (row.get("placement") or "cpu")
    return (
        one.finished
        and row["protocol"] == "native"
        and row.get("valid.macro_f1") is not None
        and on_gpu == (question.device == "gpu")
        and question.data in (None, row["data"])
    )


def figures(runs: Sequence[Result]) -> dict[str, Figure]:
    """Return the figures that the runs of a library, one a seed, have."""
    measured = {}
    for name, measure in MEASURES.items():
        values = [(value, one.folder) for one in runs if (value := measure.of(one)) is not None]
        if values:
            measured[name] = Figure(tuple(value for value, _ in values), tuple(folder for _, folder in values))
    return measured


def shorter(path: Path) -> str:
    """Return a path as one types it here."""
    return os.path.relpath(path) if path.is_absolute() and path.is_relative_to(Path.cwd()) else str(path)
