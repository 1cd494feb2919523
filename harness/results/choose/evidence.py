"""What was measured: the results that a question is answered from, and the figures of each library among them."""

import math
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from statistics import median

import numpy as np

from harness.base.errors import UserError, nearest
from harness.base.home import ROOT
from harness.figures.metrics import CLASSIFICATION, METRICS
from harness.results import reading
from harness.results.choose.question import Question
from harness.results.choose.strength import lacking, tasks_of
from harness.results.compare import analysis, statistics
from harness.results.compare.analysis import Contestant
from harness.results.contestants import contestants
from harness.results.reading import Group, Result


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


COSTS = {
    "train_minutes": Measure("training time", "train.seconds", "min", timed=True, per=60),
    "p95_ms": Measure("latency p95", "inference.batch1.p95_ms", "ms", timed=True),
    "texts_per_second": Measure(
        "best throughput", "inference.batch*.texts_per_second", "texts/s", more=True, timed=True
    ),
    "memory_mb": Measure("peak memory", "memory.peak_rss_mb", "MB"),
    "model_mb": Measure("model size", "model.size_mb", "MB"),
    "environment_mb": Measure("environment size", "environment.size_mb", "MB"),
}


def measures(task: str) -> dict[str, Measure]:
    """Return the figures that results of a task have; `quality` and `test` are its primary figure on valid and test."""
    metrics = METRICS.get(task, METRICS[CLASSIFICATION])  # of a task that is not scored here there is no result
    quality = {
        name: Measure(f"{split} {metrics.primary_name}", f"{split}.{metrics.primary}", more=metrics.sign > 0)
        for name, split in (("quality", "valid"), ("test", "test"))
    }
    return quality | COSTS


@dataclass(frozen=True)
class Figure:
    """A measured figure of a library: one value a seed, each with its run."""

    measure: Measure
    values: tuple[float, ...]
    runs: tuple[Path, ...]

    @property
    def value(self) -> float:
        """Return what counts, as in compare: of scores the mean over seeds, of all else the median."""
        return math.fsum(self.values) / len(self.values) if self.measure.quality else median(self.values)

    @property
    def interval(self) -> tuple[float, float] | None:
        """Return the 95 % interval of the mean over seeds (Student's t); None of one seed."""
        found = statistics.mean_interval(np.array(self.values))
        return None if math.isnan(found.low) else (found.low, found.high)

    @property
    def range(self) -> tuple[float, float]:
        return min(self.values), max(self.values)


@dataclass
class Evidence:
    """The results that count: one group, which may be compared. `group` is None where nothing is measured."""

    task: str
    group: Group | None = None
    title: str = ""  # of the group, among those that answer
    own: bool = False
    places: list[Path] = field(default_factory=list)
    contestants: dict[str, Contestant] = field(default_factory=dict)  # each library with its runs
    lacking: dict[str, list[str]] = field(default_factory=dict)  # of each, what it has less of than compare asks
    members: list[Contestant] = field(default_factory=list)  # all that compare has in the group
    notes: list[str] = field(default_factory=list)
    beside: "Evidence | None" = None  # own results that are too weak to order by
    ratios: dict[tuple[str, frozenset[str]], bool] = field(default_factory=dict)  # that hold 1, as far as asked

    @cached_property
    def measures(self) -> dict[str, Measure]:
        """Return the figures that results of the task have."""
        return measures(self.task)

    @cached_property
    def figures(self) -> dict[str, dict[str, Figure]]:
        """Return the figures of each library, by measure."""
        return {name: figures(one.runs, self.measures) for name, one in self.contestants.items()}

    @property
    def strong(self) -> list[str]:
        return [name for name, lacks in self.lacking.items() if not lacks]

    def read_from(self, places: Sequence[Path], own: bool) -> "Evidence":
        return replace(self, places=list(places), own=own)

    def of(self, names: Collection[str]) -> "Evidence":
        """Return what there is of some libraries."""
        chosen = {name: one for name, one in self.contestants.items() if name in names}
        return replace(self, contestants=chosen, lacking={name: self.lacking[name] for name in chosen})

    @cached_property
    def shown(self) -> dict[frozenset[str], bool]:
        """Tell of each pair that compare tests whether the figure on test is shown to differ (Holm, over the group)."""
        try:
            tested = analysis.tested(self.members)
        except UserError as error:
            self.notes.append(f"who equals whom in {self.measures['test'].title} is not told: {error}")
            return {}
        return {
            frozenset([ours.name, others.name]): p < statistics.LEVEL
            for ours, others, found, p in tested
            if found.tested
        }

    def equal(self, measure: str, one: str, other: str) -> bool:
        """Tell whether compare tests two libraries and cannot tell them apart in a figure; of scores, in that on test.

        Of times and sizes the 95% interval of the ratio of the medians holds 1; of one run, noise is not known.
        """
        pair = frozenset([one, other])
        if self.measures[measure].quality:
            return self.shown.get(pair) is False
        if (measure, pair) not in self.ratios:
            ours, others = (self.figures[name][measure].values for name in sorted(pair))
            equal = ours == others
            if min(*ours, *others) > 0 and max(ours) >= min(others) and max(others) >= min(ours):  # else none can be 1
                ratio = statistics.ratio_of_medians(np.array(ours), np.array(others))
                equal |= ratio.low <= 1 <= ratio.high
            self.ratios[measure, pair] = equal
        return self.ratios[measure, pair]


def gather(question: Question, names: Collection[str]) -> Evidence:
    """Return the figures of the libraries `names`: from the results asked for, else from own, else from the reference.

    Own results are gone by where two libraries or more are as strong as compare's rules ask, or where there is nothing
    else; weaker ones stand beside. Those of another task than the one asked for do not count.
    """
    none = Evidence(question.task or CLASSIFICATION)
    reference = reading.read(reading.REFERENCE) if reading.REFERENCE.is_dir() else []
    if places := question.results:
        own = reading.REFERENCE not in [place.absolute() for place in places]
        found = best(question, names, reading.read(*places), reference)
        return found.read_from(places, own) if found else replace(none, notes=[nothing(question, places)])
    outputs = question.outputs
    mine = best(question, names, reading.read(outputs), reference) if outputs.is_dir() else None
    mine = mine and mine.read_from([outputs], own=True)
    theirs = best(question, names, reference, reference)
    theirs = theirs and theirs.read_from([reading.REFERENCE], own=False)
    if not mine or not theirs:
        return mine or theirs or replace(none, notes=[nothing(question, [question.outputs, reading.REFERENCE])])
    if len(mine.strong) < 2:
        theirs.beside = mine
        return theirs
    weak = [name for name in mine.contestants if name not in mine.strong]
    return replace(mine.of(mine.strong), beside=mine.of(weak) if weak else None)


def nothing(question: Question, places: Sequence[Path]) -> str:
    """Say that there is no result to go by."""
    known = {path.stem for path in (ROOT / "conf" / "data").glob("*.yaml")}
    if question.data and question.data not in known:
        hint = nearest(question.data, known)
        raise UserError(f"--data {question.data}: no result is of it, and there is no such data set.{hint}", code=2)
    if question.data and question.task and question.task not in (can := tasks_of(question.data)):
        raise UserError(f"--data {question.data} is of {' or '.join(can)}, --task {question.task} is another.", code=2)
    what = "".join(f" {key}={value}" for key, value in (("task", question.task), ("data", question.data)) if value)
    where = ", ".join(map(shorter, places))
    return f"nothing is measured: no finished run of protocol=native{what} on the {question.device} in {where}"


def best(
    question: Question, names: Collection[str], everything: Sequence[Result], reference: Sequence[Result]
) -> Evidence | None:
    """Return the group with most libraries that are strong, then most at all, then most runs, that answers."""
    groups = reading.grouped(one for one in everything if counts(one, question))
    titles = reading.titles(groups)
    candidates = []
    for group, runs in groups.items():
        sides, apart = contestants(runs)
        members = [analysis.sorted_out(name, ones) for name, ones in sides.items()]
        libraries = {one.name: one for one in members if one.runs and one.name in names}
        lacks = {name: lacking(one.runs, reference) for name, one in libraries.items()}
        if libraries:
            notes = [f"left apart: {one}" for one in apart]
            of = Evidence(group.task, group, contestants=libraries, lacking=lacks, members=members, notes=notes)
            candidates.append(replace(of, title=titles[group]))
    if not candidates:
        return None

    def key(one: Evidence) -> tuple[int, int, int, bool, str]:
        assert one.group
        strength = -len(one.strong), -len(one.contestants), -len(groups[one.group])
        return *strength, one.task != CLASSIFICATION, one.title

    chosen, *others = sorted(candidates, key=key)
    chosen.notes += noted(question, chosen, {one.group: one.title for one in others if one.group})
    return chosen


def noted(question: Question, chosen: Evidence, others: Mapping[Group, str]) -> Iterator[str]:
    """Yield what one should know of the figures: which there are besides, and which do not count."""
    assert chosen.group
    if tasks := sorted({group.task for group in others} - {chosen.task}):
        yield f"these are of task={chosen.task}; of others there are figures too: --task {' or --task '.join(tasks)}"
    others = {group: title for group, title in others.items() if group.task == chosen.task}
    if elsewhere := sorted({group.data for group in others} - {chosen.group.data}):
        yield f"of other data there are figures too: --data {' or --data '.join(elsewhere)}"
    same = [title for group, title in others.items() if group.data == chosen.group.data]
    if same:
        more = f"; and {len(same) - 2} more" if len(same) > 2 else ""
        yield f"not looked at, of the same data: {'; '.join(same[:2])}{more}"
    if question.where == "both":
        yield "the figures are those on processors; --where gpu goes by those on a GPU"
    runs = [run for one in chosen.contestants.values() for run in one.runs]
    if noisy := sum(not run.timed for run in runs):
        yield (
            f"times of {noisy} of {len(runs)} runs do not count, their machine was not seen to be quiet: "
            "measure.noisy=true lets them"
        )


def counts(one: Result, question: Question) -> bool:
    """Tell whether a result answers the question: native, finished, on the right device, data and task."""
    row = one.row
    on_gpu = "gpu" in (row.get("placement") or "cpu")
    return (
        one.finished
        and row["protocol"] == "native"
        and row.get(f"valid.{one.metrics.primary}") is not None
        and question.task in (None, one.task)
        and on_gpu == (question.device == "gpu")
        and question.data in (None, row["data"])
    )


def figures(runs: Sequence[Result], measures: Mapping[str, Measure]) -> dict[str, Figure]:
    """Return the figures that the runs of a library, one a seed, have."""
    measured = {}
    for name, measure in measures.items():
        values = [(value, one.folder) for one in runs if (value := measure.of(one)) is not None]
        if values:
            measured[name] = Figure(measure, tuple(value for value, _ in values), tuple(folder for _, folder in values))
    return measured


def shorter(path: Path) -> str:
    """Return a path as one types it here."""
    return os.path.relpath(path) if path.is_absolute() and path.is_relative_to(Path.cwd()) else str(path)
