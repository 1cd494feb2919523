"""What a few seeds and some thousand test rows allow one to say of a figure, from arrays alone.

The figure is one that follows from counts of rows (harness/figures/metrics/counts.py), whatever the task.

- The mean over seeds has a Student t interval: the seeds are few, their spread is estimated from them, and t is the
  distribution that accounts for that; a bootstrap of five values gives intervals that are too narrow.
- The difference of two libraries is a paired one, on the same seeds and test rows, which are crossed: it varies with
  the seeds, with the rows, and with what a seed does to a row, and each of the three counts once. The variance over n
  seeds, by n, has the first and the third; a bootstrap of rows has, of the mean over seeds, the second and the third
  again; what it does to each seed's distance from that mean has the third alone, to be taken off. A bootstrap of seeds
  and rows at once (Owen, The pigeonhole bootstrap, 2007) counts the third three times.
- Interval and p-value of a difference add up the seeds' part of the variance, known from a few seeds, by t and the
  rows' part by the normal distribution: the limits' squares (Howe, JASA 1974). Quantiles weighed by the two parts
  instead, as Cochran and Cox do, call up to 6% different with two seeds where 5% may be. Percentiles of a bootstrap
  are far too narrow here (Hesterberg, What teachers should know about the bootstrap, 2015, section 5).
- tests/calibration.py simulates libraries that are the same, and says how far this holds. scripts/compare.py --aa tries
  real runs.
- Almost stochastic order compares whole distributions of scores: del Barrio et al. 2018, Dror et al., ACL 2019. Of
  fewer than five runs it is noise: of two that are the same it calls one larger in 31% of pairs with two runs of each.
- Over all pairs, Holm's correction (A simple sequentially rejective multiple test procedure, 1979).
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import special

from harness.figures.metrics.counts import Counted

LEVEL = 0.05  # the share of differences that are called so though there are none, over all pairs of a table
OF_ORDER = 5  # runs on each side, at least, whose order is told
POWER = 0.8  # how surely the smallest difference that could have been shown would be shown
RESAMPLES = 10_000  # of values that are at hand
OF_ROWS = 2_000  # resamples of test rows, which give a standard error to 1.6%
DRAWS = 1e8  # rows drawn at most: fewer resamples where a test split is large
AT_AN_END = 5e6  # rows drawn at the end of a run
ROWS_AT_ONCE = 4_000_000
CELLS_AT_ONCE = 4_000_000  # rows (or resamples) times what each counts times runs


class Interval(NamedTuple):
    """A figure with its 95% interval; one value alone has none (NaN)."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Difference:
    """Mean difference of a figure over seeds, its interval, p-value, and what could have been shown."""

    seeds: int
    value: float
    low: float
    high: float
    p: float
    error: float  # standard error
    of_seeds: float  # the seeds' share of the variance

    @property
    def tested(self) -> bool:
        return self.seeds > 1

    def smallest(self, level: float = LEVEL) -> float:
        """Return the smallest true difference that would be shown at `level`, four times out of five."""
        quantiles = [quantile(share, self.seeds, self.of_seeds) for share in (1 - level / 2, POWER)]
        return sum(quantiles) * self.error


def quantile(share: float, values: int, of_values: float = 1.0) -> float:
    """Return how many standard errors away an upper limit is whose confidence is `share`, at least 0.5.

    By t for the part `of_values` of the variance, which is estimated from so many values, by the normal distribution
    for the rest (Howe 1974).
    """
    squares = of_values * special.stdtrit(values - 1, share) ** 2 + (1 - of_values) * special.ndtri(share) ** 2
    return float(np.sqrt(squares))


def p_value(distance: float, values: int, of_values: float) -> float:
    """Return the two-sided p-value of a distance in standard errors: where its quantile is that distance."""
    low, high = -15.0, 0.0  # of its logarithm to base 10
    for _ in range(40):
        middle = (low + high) / 2
        if quantile(1 - 10**middle / 2, values, of_values) > distance:
            low = middle
        else:
            high = middle
    return float(10**high)


def mean_interval(values: np.ndarray) -> Interval:
    """Return the mean over seeds with its 95% Student t interval."""
    if len(values) < 2:
        return Interval(float(values.mean()) if len(values) else np.nan, np.nan, np.nan)
    half = quantile(1 - LEVEL / 2, len(values)) * values.std(ddof=1) / np.sqrt(len(values))
    return Interval(values.mean(), values.mean() - half, values.mean() + half)


def figures(counted: Counted, labels: np.ndarray, answers: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return a figure (resamples, runs) from labels (rows, …), answers (rows, runs, …) and weights (resamples, rows).

    A row's weight is how often a resample drew it. One matrix product gives the counts of all resamples, of as many
    runs as memory is for; in float32, which is exact up to 2^24.
    """
    rows, runs = answers.shape[:2]
    cells = max(rows, len(weights)) * (counted.counts(labels, answers[:, :1]).size // rows)  # of one run
    at_once, found = max(1, CELLS_AT_ONCE // cells), np.empty((len(weights), runs))
    for start in range(0, runs, at_once):
        counts = counted.counts(labels, answers[:, start : start + at_once])
        sums = weights @ counts.reshape(rows, -1).astype(np.float32)
        found[:, start : start + at_once] = counted.figure(sums.reshape(len(weights), *counts.shape[1:]))
    return found


@dataclass(frozen=True)
class Scores:
    """A figure of runs on the same test rows: as they are (runs,), and on rows drawn anew (resamples, runs)."""

    observed: np.ndarray
    resampled: np.ndarray


def scores(
    counted: Counted, labels: np.ndarray, answers: np.ndarray, resamples: int = OF_ROWS, seed: int = 0
) -> Scores:
    """Return a figure of runs from labels (rows, …) and answers (rows, runs, …); all get the same rows drawn."""
    rows = len(labels)
    resamples = int(np.clip(DRAWS / rows, min(200, resamples), resamples))
    draw, at_once = np.random.default_rng(seed), max(1, ROWS_AT_ONCE // rows)
    parts = []
    for start in range(0, resamples, at_once):
        number = min(at_once, resamples - start)
        drawn = draw.integers(0, rows, (number, rows)) + rows * np.arange(number)[:, None]
        weights = np.bincount(drawn.ravel(), minlength=number * rows).reshape(number, rows).astype(np.float32)
        parts.append(figures(counted, labels, answers, weights))
    observed = figures(counted, labels, answers, np.ones((1, rows), np.float32))[0]
    return Scores(observed, np.concatenate(parts))


def of_rows(counted: Counted, labels: np.ndarray, answers: np.ndarray, most: float) -> Interval:
    """Return the figure of one run with its 95% interval over rows, from labels (rows, …) and answers alike.

    By the normal distribution, from what rows drawn anew scatter; within 0 and `most`. The seed is not in it. Each run
    does it at its end, so of many rows there are 100 resamples, which tell the width to 7%.
    """
    found = scores(counted, labels, answers[:, None], int(np.clip(AT_AN_END / len(labels), 100, 500)))
    value, half = float(found.observed[0]), float(special.ndtri(1 - LEVEL / 2) * found.resampled[:, 0].std(ddof=1))
    return Interval(value, max(value - half, 0.0), min(value + half, most))


def difference(found: Scores, ours: list[int], others: list[int]) -> Difference:
    """Compare runs of two libraries, by their numbers in `found`, the first of ours with the first of the others.

    The variance of the mean over n seeds is observed.var / n + centre.var - both, where `centre` is the mean of the
    resampled scores over seeds, and `both` the mean over seeds of (resampled - centre).var / (n - 1), which the first
    two have each. Of a few seeds the first may be small by chance, so it is no less than both / (n - 1): with two seeds
    that errs on the side of caution, with five it hardly ever matters.
    """
    observed = found.observed[ours] - found.observed[others]
    resampled = found.resampled[:, ours] - found.resampled[:, others]
    seeds, value = len(ours), float(observed.mean())
    if seeds < 2:
        return Difference(seeds, value, np.nan, np.nan, np.nan, np.nan, np.nan)
    centre = resampled.mean(1)
    both = float((resampled - centre[:, None]).var(0, ddof=1).mean()) / (seeds - 1)
    by_seeds = float(observed.var(ddof=1)) / seeds
    variance = max(by_seeds, both / (seeds - 1)) + max(float(centre.var(ddof=1)) - both, 0.0)
    if not variance:  # they predict the same, or one is right where the other is wrong, always
        return Difference(seeds, value, value, value, 0.0 if value else 1.0, 0.0, 1.0)
    error, of_seeds = float(np.sqrt(variance)), by_seeds / variance
    half = quantile(1 - LEVEL / 2, seeds, of_seeds) * error
    p = p_value(abs(value) / error, seeds, of_seeds)
    return Difference(seeds, value, value - half, value + half, p, error, of_seeds)


def holm(p_values: np.ndarray) -> np.ndarray:
    """Return p-values corrected over all of them (Holm 1979): the smallest times n, the next times n - 1, and so on."""
    order = np.argsort(p_values)
    factors = np.arange(len(p_values), 0, -1)
    corrected = np.empty_like(p_values)
    corrected[order] = np.minimum(np.maximum.accumulate(p_values[order] * factors), 1)
    return corrected


def stochastic_order(
    ours: np.ndarray, others: np.ndarray, level: float = LEVEL, resamples: int = 1000, seed: int = 0
) -> float:
    """Return how far `ours` may be from being stochastically larger: 0 it is, 0.5 no order, 1 the other way round.

    It is the upper bound, at the confidence 1 - level, of the share of the squared distance between the two quantile
    functions that speaks against `ours` (del Barrio et al. 2018; Dror et al. 2019, equation 7); NaN where either has
    fewer than OF_ORDER values. deepsig computes the same; its last release is of 2023, and it draws one resample at a
    time.
    """
    sizes, draw = (len(ours), len(others)), np.random.default_rng(seed)
    if min(sizes) < OF_ORDER:
        return np.nan
    ratio = float(violation(ours[None], others[None])[0])
    samples = [values[draw.integers(0, len(values), (resamples, len(values)))] for values in (ours, others)]
    return min(ratio - float(violation(*samples).std()) * float(special.ndtri(level)), 1.0)


def violation(ours: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the share that speaks against `ours` of each pair of samples (samples, values)."""
    steps = np.lcm(ours.shape[1], others.shape[1])
    quantiles = [np.repeat(np.sort(values, 1), steps // values.shape[1], 1) for values in (ours, others)]
    gaps = quantiles[0] - quantiles[1]
    against, whole = (np.minimum(gaps, 0) ** 2).sum(1), (gaps**2).sum(1)
    return np.divide(against, whole, out=np.full(len(whole), 0.5), where=whole > 0)


def ratio_of_medians(ours: np.ndarray, others: np.ndarray, resamples: int = RESAMPLES, seed: int = 0) -> Interval:
    """Return the ratio of the medians over runs, with a bootstrap interval over the runs of both.

    The percentiles are those of the expanded interval (Hesterberg 2015, section 5.3), wider where the runs are few.
    """
    value = float(np.median(ours) / np.median(others))
    fewest = min(len(ours), len(others))
    if fewest < 2:
        return Interval(value, np.nan, np.nan)
    draw = np.random.default_rng(seed)
    drawn = [np.sort(v[draw.integers(0, len(v), (resamples, len(v)))], 1) for v in (ours, others)]
    twice = [v[:, (v.shape[1] - 1) // 2] + v[:, v.shape[1] // 2] for v in drawn]  # the median: numpy's takes longer
    tail = special.ndtr(-np.sqrt(fewest / (fewest - 1)) * quantile(1 - LEVEL / 2, fewest))
    low, high = np.quantile(twice[0] / twice[1], [tail, 1 - tail])
    return Interval(value, float(low), float(high))


def false_alarms(found: Scores, times: int = 200, seed: int = 0) -> tuple[int, int]:
    """Draw two halves of the runs of one and the same recipe, compare them, so many times; return alarms and seeds.

    An alarm is a pair called different. `found` holds runs that differ in their seeds alone.
    """
    draw, runs = np.random.default_rng(seed), len(found.observed)
    half = runs // 2
    alarms = 0
    for _ in range(times):
        order = draw.permutation(runs)
        alarms += difference(found, list(order[:half]), list(order[half : 2 * half])).p < LEVEL
    return alarms, half
