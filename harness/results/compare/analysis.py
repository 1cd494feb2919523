"""What is computed for a group of results: figures of each that competes, and differences of each pair."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from harness.base.errors import UserError
from harness.figures.metrics import Metrics
from harness.results.compare import statistics
from harness.results.compare.statistics import Difference, Interval
from harness.results.contestants import Apart, contestants
from harness.results.reading import Group, Result, grouped, titles


@dataclass(frozen=True)
class Figure:
    """A figure of a table: its key in result.json, its name and unit, and how it is written."""

    key: str
    name: str
    unit: str = ""
    digits: int = 3
    time: bool = False  # counts from runs on a quiet machine alone
    most: float = 1.0  # of a figure of quality


SPLITS = {"valid": "valid", "test": "test", "test_unseen": "unseen"}
COSTS = [
    Figure("train.seconds", "training", "s", 1, time=True),
    Figure("train.target_seconds", "to the target", "s", 1, time=True),
    Figure("inference.batch1.p50_ms", "latency", "ms", 1, time=True),
    Figure("inference.batch32.texts_per_second", "batches of 32", "texts/s", 0, time=True),
    Figure("memory.peak_rss_mb", "memory", "MB", 0),
    Figure("model.size_mb", "model", "MB", 0),
]
RATIOS = [one for one in COSTS if one.key in ("train.seconds", "inference.batch1.p50_ms", "memory.peak_rss_mb")]


def quality(metrics: Metrics) -> list[Figure]:
    """Return the figures of quality of a task: its primary on valid first, on test next, what else it shows last."""
    splits = [(metrics.primary, split) for split in SPLITS]
    return [
        Figure(f"{split}.{key}", f"{SPLITS[split]} {figure.name}", most=1.0 if figure.better == "maximize" else np.inf)
        for key, split in (*splits, *((key, "test") for key in metrics.shown if key != metrics.primary))
        for figure in (metrics.figures[key],)
    ]


@dataclass
class Contestant:
    """What competes in a group: its runs, one a seed, and what is not among them."""

    name: str
    runs: list[Result] = field(default_factory=list)
    failed: list[Result] = field(default_factory=list)
    interrupted: list[Result] = field(default_factory=list)  # neither: the same command goes on with them
    again: list[Result] = field(default_factory=list)  # of a seed that is there already
    trials: int = 0  # of a search: without test figures

    @cached_property
    def seeds(self) -> dict[int, Result]:
        return {one.row["seed"]: one for one in self.runs}

    def values(self, figure: Figure) -> np.ndarray:
        """Return a figure of all runs that have it; of times, those measured on a quiet machine."""
        runs = [one for one in self.runs if one.timed] if figure.time else self.runs
        found = [one.row.get(figure.key) for one in runs]
        return np.array([value for value in found if value is not None], float)

    def summary(self, figure: Figure) -> Interval | None:
        """Return the mean over seeds with its interval; of times and memory the median."""
        if not len(values := self.values(figure)):
            return None
        if figure.unit:
            return Interval(float(np.median(values)), np.nan, np.nan)
        found = statistics.mean_interval(values)
        return Interval(found.value, max(found.low, 0.0), min(found.high, figure.most)) if len(values) > 1 else found


@dataclass(frozen=True)
class Pair:
    """Two that compete, on the seeds that both have."""

    ours: str
    others: str
    better: str  # of the two, by the difference
    difference: Difference
    corrected: float  # p-value, after Holm
    order: float  # how far the better one may be from being stochastically larger; NaN of too few runs
    ratios: dict[str, Interval]  # by key

    @property
    def shown(self) -> bool:
        return self.corrected < statistics.LEVEL


@dataclass
class Analysis:
    """A group with all that is said of it."""

    group: Group
    title: str  # of the group among those it was found with
    contestants: list[Contestant]
    pairs: list[Pair] | None = None  # None: they were not compared
    apart: list[Apart] = field(default_factory=list)  # results of the same names that are of other identities

    @cached_property
    def figures(self) -> list[Figure]:
        """Return the figures that any of them has."""
        known = [*quality(self.group.metrics), *COSTS]
        return [one for one in known if any(len(each.values(one)) for each in self.contestants)]

    @property
    def smallest_level(self) -> float:
        """Return the level that a difference alone must pass among all pairs."""
        return statistics.LEVEL / max(1, sum(pair.difference.tested for pair in self.pairs or []))


def analyse(results: list[Result], pairs: bool, beside: bool = False) -> list[Analysis]:
    """Return the analysis of each group; `pairs`: with the differences of all pairs, which needs the predictions.

    `beside`: results of one name and several identities compete with one another.
    """
    found, groups = [], grouped(results)
    headings = titles(groups)
    for group, members in sorted(groups.items(), key=lambda item: headings[item[0]]):
        sides, apart = contestants(members, beside)
        ones = [sorted_out(name, runs) for name, runs in sides.items()]
        ones.sort(key=lambda one: place(one, group.metrics))
        found.append(Analysis(group, headings[group], ones, compared(ones) if pairs else None, apart))
    return found


def place(one: Contestant, metrics: Metrics) -> float:
    """Return what sorts those that compete: the mean of the primary figure on valid, the best first."""
    return -metrics.sign * statistics.mean_interval(one.values(quality(metrics)[0])).value if one.runs else np.inf


def sorted_out(name: str, results: list[Result]) -> Contestant:
    """Return what competes under a name; of two runs with one seed the first counts."""
    one, seeds = Contestant(name), set()
    for result in results:
        if result.row["status"] == "pruned" or (result.finished and not result.tested):
            one.trials += 1
        elif result.row["status"] == "interrupted":
            one.interrupted.append(result)
        elif not result.finished:
            one.failed.append(result)
        elif result.row["seed"] in seeds:
            one.again.append(result)
        else:
            seeds.add(result.row["seed"])
            one.runs.append(result)
    return one


def compared(ones: list[Contestant]) -> list[Pair]:
    """Return the differences of all pairs, with the ratios of what they take."""
    found = tested(ones)
    number = sum(difference.tested for _, _, difference, _ in found)
    return [
        Pair(
            ours.name, others.name, (ours if ours.runs[0].metrics.sign * difference.value > 0 else others).name,
            difference, p, order(ours, others, number), ratios(ours, others),
        )
        for ours, others, difference, p in found
    ]  # fmt: skip


def tested(ones: Sequence[Contestant]) -> list[tuple[Contestant, Contestant, Difference, float]]:
    """Return each pair with its difference and the p-value corrected over all of them; NaN where it is not tested.

    Predictions are read where two seeds of a pair can be tested.
    """
    couples = [couple for couple in itertools.combinations(ones, 2) if couple[0].runs and couple[1].runs]
    runs: dict[int, Result] = {}
    for ours, others in couples:
        common = paired(ours, others)
        if len(common[0]) > 1:
            runs |= {id(run): run for run in (*common[0], *common[1])}
    scores = predictions_scored(list(runs.values())) if runs else None
    number = {key: place for place, key in enumerate(runs)}
    differences = [difference(scores, number, *paired(ours, others)) for ours, others in couples]
    corrected = iter(statistics.holm(np.array([found.p for found in differences if found.tested])))
    return [
        (ours, others, found, float(next(corrected)) if found.tested else np.nan)
        for (ours, others), found in zip(couples, differences, strict=True)
    ]


def difference(
    scores: statistics.Scores | None, number: dict[int, int], ours: list[Result], others: list[Result]
) -> Difference:
    """Return the difference of paired runs, whose numbers in `scores` are given; of fewer than two there is none."""
    if scores is None or len(ours) < 2:
        return Difference(len(ours), *[np.nan] * 6)
    return statistics.difference(scores, [number[id(run)] for run in ours], [number[id(run)] for run in others])


def paired(ours: Contestant, others: Contestant) -> tuple[list[Result], list[Result]]:
    """Return the runs of both on the seeds that both have."""
    common = [seed for seed in ours.seeds if seed in others.seeds]
    return [ours.seeds[seed] for seed in common], [others.seeds[seed] for seed in common]


def order(ours: Contestant, others: Contestant, pairs: int) -> float:
    """Return how far the one with the better mean may be from being stochastically better; NaN of too few runs."""
    metrics = ours.runs[0].metrics
    values = [
        metrics.sign * np.array([run.row[f"test.{metrics.primary}"] for run in runs]) for runs in paired(ours, others)
    ]
    better, worse = sorted(values, key=np.sum, reverse=True)
    return statistics.stochastic_order(better, worse, statistics.LEVEL / max(pairs, 1))


def ratios(ours: Contestant, others: Contestant) -> dict[str, Interval]:
    """Return the ratios of the medians over runs. The group has one machine, so no two machines are compared."""
    found = {}
    for figure in RATIOS:
        values = [one.values(figure) for one in (ours, others)]
        if all(len(one) and one.min() > 0 for one in values):
            found[figure.key] = statistics.ratio_of_medians(values[0], values[1])
    return found


def predictions_scored(runs: list[Result]) -> statistics.Scores:
    """Read the test predictions of runs on the same rows, and score them on rows drawn anew, by their task."""
    metrics, labels, answers = runs[0].metrics, runs[0].predictions()[0], []
    for run in runs:
        its_labels, made = run.predictions()
        if not np.array_equal(its_labels, labels):
            raise UserError(
                f"{run.folder}: its test rows are not those of {runs[0].folder}; remove one, or choose one."
            )
        answers.append(made)
    return statistics.scores(metrics.counted[metrics.primary], labels, np.stack(answers, 1))
