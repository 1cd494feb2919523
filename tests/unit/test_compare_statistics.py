"""The statistics of compare, beside scipy, scikit-learn, brute force, and what is known of simulated runs."""

import numpy as np
import pytest
from results_support import predictions
from scipy import stats
from sklearn.metrics import f1_score

from harness.compare import statistics as ours


def simulated(draw, skills, seeds=5, rows=250, classes=4, spread=0.1):
    """Return the scores of runs of libraries with these skills, some hundred resamples of their rows."""
    labels, hard = draw.integers(0, classes, rows), draw.normal(0, 1, rows)
    predicted = np.concatenate([predictions(labels, skill, seeds, spread, draw, hard) for skill in skills])
    return ours.scores(labels, predicted, resamples=200, seed=int(draw.integers(2**31)))


def test_the_interval_of_a_mean_is_scipys():
    values = np.array([0.55, 0.57, 0.549, 0.56, 0.561])
    expected = stats.t.interval(0.95, 4, values.mean(), stats.sem(values))
    assert ours.mean_interval(values) == pytest.approx((values.mean(), *expected))
    assert np.isnan(ours.mean_interval(values[:1]).low)


def test_macro_f1_of_weighted_rows_is_scikit_learns_of_repeated_rows():
    draw = np.random.default_rng(0)
    labels, predicted = draw.integers(0, 6, 60), draw.integers(0, 7, (3, 60))
    weights = draw.integers(0, 2, (20, 60)) * draw.integers(0, 3, (20, 60))  # classes that no resample has
    found = ours.macro_f1(labels, predicted, weights.astype(np.float32))
    for number, counts in enumerate(weights):
        for run in range(3):
            rows = np.repeat(np.arange(60), counts)
            expected = f1_score(labels[rows], predicted[run][rows], average="macro", zero_division=0)
            assert found[number, run] == pytest.approx(expected, abs=1e-6)


def test_the_standard_error_is_that_of_a_plain_bootstrap_over_seeds_and_rows():
    draw = np.random.default_rng(1)
    labels = draw.integers(0, 3, 150)
    predicted = np.concatenate([predictions(labels, skill, 4, 0.2, draw) for skill in (0.3, 0.5)])
    means = []
    for _ in range(500):
        rows, seeds = draw.integers(0, 150, 150), draw.integers(0, 4, 4)
        f1 = ours.macro_f1(labels[rows], predicted[:, rows], np.ones((1, 150), np.float32))[0]
        values = f1[:4] - f1[4:]
        means.append((values.mean(), values[seeds].mean() - values.mean()))
    of_rows, of_seeds = np.array(means).T
    expected = (of_rows + np.sqrt(4 / 3) * of_seeds).std()
    found = ours.difference(ours.scores(labels, predicted), list(range(4)), list(range(4, 8)))
    assert found.error == pytest.approx(expected, rel=0.12)
    f1 = [f1_score(labels, one, average="macro") for one in predicted]
    assert found.value == pytest.approx(np.mean(f1[:4]) - np.mean(f1[4:]))


@pytest.mark.parametrize("distance", [0.3, 2.0, 5.0])
def test_quantiles_and_p_values_are_those_of_t_and_of_the_normal_at_the_ends(distance):
    assert ours.p_value(distance, 5, 1.0) == pytest.approx(2 * stats.t.sf(distance, 4), rel=1e-6)
    assert ours.p_value(distance, 5, 0.0) == pytest.approx(2 * stats.norm.sf(distance), rel=1e-6)
    assert ours.quantile(1 - ours.p_value(distance, 5, 0.4) / 2, 5, 0.4) == pytest.approx(distance, rel=1e-6)


@pytest.mark.parametrize("seeds", [2, 5])
@pytest.mark.parametrize("scatter", [0.3, 2.0, 8.0], ids=lambda ratio: f"seeds {ratio} times the rows")
def test_a_mean_of_few_seeds_and_rows_is_called_different_from_nothing_at_most_as_often_as_said(seeds, scatter):
    """Seeds' parts of a variance that is known of the rows and estimated from the seeds."""
    draw, times = np.random.default_rng(6), 20_000
    values = draw.normal(0, scatter, (times, seeds)) + draw.normal(0, 1, (times, 1))
    of_seeds = values.var(1, ddof=1) / seeds
    away = np.abs(values.mean(1)) / np.sqrt(of_seeds + 1)
    limits = [ours.quantile(1 - ours.LEVEL / 2, seeds, share) for share in of_seeds / (of_seeds + 1)]
    assert (away > limits).sum() <= stats.binom.ppf(0.99, times, ours.LEVEL)


def test_holm_by_hand():
    assert ours.holm(np.array([0.01, 0.04, 0.03, 0.005])) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert ours.holm(np.array([0.6, 0.7])) == pytest.approx([1, 1])


def test_stochastic_order_knows_its_ends_and_integrates_as_one_would():
    draw = np.random.default_rng(2)
    low, high = draw.normal(0, 1, 6), draw.normal(0.5, 2, 9)
    times = (np.arange(18_000) + 0.5) / 18_000
    gaps = np.sort(low)[(times * 6).astype(int)] - np.sort(high)[(times * 9).astype(int)]
    expected = (gaps[gaps < 0] ** 2).sum() / (gaps**2).sum()
    assert ours.violation(low[None], high[None])[0] == pytest.approx(expected, rel=1e-3)
    assert ours.stochastic_order(low + 10, low) == 0
    assert ours.stochastic_order(low, low + 10) == 1
    assert ours.violation(low[None], low[None])[0] == 0.5
    assert ours.stochastic_order(low, draw.normal(0, 1, 6)) > 0.2


def test_the_ratio_of_medians_holds_what_it_should_and_is_wider_for_fewer_runs():
    draw = np.random.default_rng(3)
    worlds = [(draw.normal(40, 2, 5), draw.normal(20, 2, 5)) for _ in range(200)]
    found = [ours.ratio_of_medians(*one, resamples=500) for one in worlds]
    assert np.mean([one.low <= 2 <= one.high for one in found]) >= 0.95
    assert np.mean([one.low > 1.3 for one in found]) > 0.95
    assert np.isnan(ours.ratio_of_medians(np.array([3.0]), np.array([2.0, 2.0])).low)


@pytest.mark.parametrize("spread", [0.0, 0.3], ids=["rows scatter most", "seeds scatter most"])
def test_libraries_that_are_the_same_are_called_different_no_more_often_than_said(spread):
    draw = np.random.default_rng(4)
    found = [simulated(draw, [0.3], seeds=10, spread=spread) for _ in range(100)]
    alarms = [ours.difference(one, list(range(5)), list(range(5, 10))).p < ours.LEVEL for one in found]
    assert sum(alarms) <= stats.binom.ppf(0.95, 100, ours.LEVEL)  # percentiles of the bootstrap give twice as many
    resampled, half = ours.false_alarms(found[0])
    assert half == 5
    assert resampled <= 200 * ours.LEVEL


def test_a_difference_of_the_smallest_size_that_is_told_is_shown_as_often_as_said():
    draw, runs = np.random.default_rng(5), (list(range(5)), list(range(5, 10)))
    alike = [ours.difference(simulated(draw, [0.3, 0.3]), *runs) for _ in range(30)]
    smallest = np.median([one.smallest() for one in alike])
    slope = np.mean([ours.difference(simulated(draw, [0.4, 0.3]), *runs).value for _ in range(30)]) / 0.1
    shown = [ours.difference(simulated(draw, [0.3 + smallest / slope, 0.3]), *runs).p < 0.05 for _ in range(80)]
    assert 0.6 < np.mean(shown) < 0.95
