"""The statistics of compare, beside scipy, scikit-learn, brute force, and what is known of simulated runs."""

import numpy as np
import pytest
from calibration import SIZES, WORLDS, calibrated
from results_support import predictions
from scipy import stats

from harness.figures.metrics import METRICS, tagging
from harness.results.compare import statistics as ours
from recipes.contract.ragged import Ragged
from recipes.contract.tasks import TASKS

MACRO_F1 = METRICS["classification"].counted["macro_f1"]
TAGS = ["B-a", "B-b", "I-a", "I-b", "O"]


def simulated(draw, skills, seeds=5, rows=250, classes=4, spread=0.1):
    """Return the scores of runs of libraries with these skills, some hundred resamples of their rows."""
    labels, hard = draw.integers(0, classes, rows), draw.normal(0, 1, rows)
    predicted = np.concatenate([predictions(labels, skill, seeds, spread, draw, hard) for skill in skills])
    return ours.scores(MACRO_F1, labels, predicted.T, resamples=200, seed=int(draw.integers(2**31)))


def test_the_interval_of_a_mean_is_scipys():
    values = np.array([0.55, 0.57, 0.549, 0.56, 0.561])
    expected = stats.t.interval(0.95, 4, values.mean(), stats.sem(values))
    assert ours.mean_interval(values) == pytest.approx((values.mean(), *expected))
    assert np.isnan(ours.mean_interval(values[:1]).low)


@pytest.mark.parametrize(("task", "key"), [(task, key) for task, one in METRICS.items() for key in one.counted])
def test_a_figure_of_weighted_rows_is_the_task_s_own_of_repeated_rows(task, key):
    draw, metrics = np.random.default_rng(0), METRICS[task]
    labels, logits = drawn(task, draw)
    weights = draw.integers(0, 2, (20, 60)) * draw.integers(0, 3, (20, 60))  # names that no resample has
    if task == "tagging":
        of_runs = [tagging.counts(labels, tagging.predicted(one), TAGS) for one in logits]
        truth, answers = of_runs[0][:, 0], np.stack([one[:, 1:] for one in of_runs], 1)
    else:
        truth, answers = labels, np.stack([TASKS[task].answers(one) for one in logits], 1)
    found = ours.figures(metrics.counted[key], truth, answers, weights.astype(np.float32))
    for number, counts in enumerate(weights):
        rows = np.repeat(np.arange(60), counts)
        for run in range(3):
            expected = metrics.scores(taken(labels, rows), taken(logits[run], rows), TAGS)[key]
            assert found[number, run] == pytest.approx(expected, abs=1e-6)


def drawn(task, draw):
    """Return labels of 60 rows, as the figures of a task take them, and what three runs say."""
    logits = draw.normal(size=(3, 60, 7)).astype(np.float32)
    if task == "multilabel":
        return draw.integers(0, 2, (60, 7)).astype(np.uint8), logits
    if task == "regression":
        return draw.normal(size=60), logits[:, :, :1]
    if task == "tagging":
        offsets = np.cumsum([0, *draw.integers(1, 9, 60)])
        logits = draw.normal(size=(3, offsets[-1], 5)).astype(np.float32)
        return Ragged(draw.integers(0, 5, offsets[-1]), offsets), [Ragged(one, offsets) for one in logits]
    return draw.integers(0, 6, 60), logits


def taken(values, rows):
    """Return rows, by their numbers, which may repeat."""
    return Ragged.of([values[row] for row in rows]) if isinstance(values, Ragged) else values[rows]


@pytest.mark.parametrize("seeds", [2, 3, 8])
@pytest.mark.parametrize("sizes", [(1, 0.2, 1), (0.3, 0.3, 3), (3, 0.1, 0.2)], ids=str)
def test_the_standard_error_is_that_of_the_analysis_of_variance_of_seeds_crossed_with_rows(seeds, sizes):
    """Of a score that is a mean over rows: Cornfield and Tukey's expected mean squares of a crossed table."""
    draw, rows = np.random.default_rng(seeds), 120
    row, seed, both = (
        size * draw.normal(0, 1, shape)
        for size, shape in zip(sizes, [(1, rows), (seeds, 1), (seeds, rows)], strict=True)
    )
    table = row + seed + both
    weights = draw.multinomial(rows, [1 / rows] * rows, 20_000) / rows
    nothing = np.zeros_like(table)
    scores = ours.Scores(np.concatenate([table, nothing]).mean(1), weights @ np.concatenate([table, nothing]).T)
    mean, of_seeds, of_rows = table.mean(), table.mean(1, keepdims=True), table.mean(0, keepdims=True)
    squares = [
        rows * ((of_seeds - mean) ** 2).sum() / (seeds - 1),
        seeds * ((of_rows - mean) ** 2).sum() / (rows - 1),
        ((table - of_seeds - of_rows + mean) ** 2).sum() / ((seeds - 1) * (rows - 1)),
    ]
    variance = (max(squares[0], squares[2] / (seeds - 1)) + max(squares[1], squares[2]) - squares[2]) / (seeds * rows)
    found = ours.difference(scores, list(range(seeds)), list(range(seeds, 2 * seeds)))
    assert found.value == pytest.approx(mean)
    assert found.error**2 == pytest.approx(variance, rel=0.05)
    assert found.seeds == seeds
    assert found.of_seeds == pytest.approx(squares[0] / (seeds * rows) / variance, rel=0.05)


def test_seeds_that_happen_to_agree_are_no_surer_than_their_rows():
    draw = np.random.default_rng(1)
    resampled = draw.normal(0, 0.05, (4000, 2))  # each seed by itself: what it does to a row is all there is
    scores = ours.Scores(np.array([0.52, 0.52, 0.5, 0.5]), np.hstack([resampled + 0.52, np.full((4000, 2), 0.5)]))
    found = ours.difference(scores, [0, 1], [2, 3])
    assert found.error == pytest.approx(0.05 / np.sqrt(2), rel=0.05)
    assert found.p > 0.5
    assert found.of_seeds == 0


def test_predictions_that_are_the_same_are_no_difference_and_right_beside_wrong_always_is_one():
    labels = np.arange(60) % 3
    right, wrong = np.tile(labels, (2, 1)), np.tile((labels + 1) % 3, (2, 1))
    same = ours.difference(ours.scores(MACRO_F1, labels, np.concatenate([right, right]).T), [0, 1], [2, 3])
    assert (same.value, same.low, same.high, same.p, same.error, same.smallest()) == (0, 0, 0, 1, 0, 0)
    apart = ours.difference(ours.scores(MACRO_F1, labels, np.concatenate([right, wrong]).T), [0, 1], [2, 3])
    assert (apart.value, apart.p, apart.error, apart.of_seeds) == (1, 0, 0, 1)


@pytest.mark.parametrize(("rows", "classes"), SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("sizes", [WORLDS[name] for name in ("seeds in rows", "all three")], ids=str)
def test_of_libraries_that_are_the_same_the_error_is_the_true_one_and_false_alarms_are_few(rows, classes, sizes):
    for one in calibrated(rows, classes, sizes, worlds=150):
        wide = 1.3 if one.seeds == 2 else 1.1
        by_chance = 2 / np.sqrt(2 * one.comparisons)  # of a standard deviation that is known from so many
        assert 0.9 - by_chance < one.error < wide + by_chance, one
        assert one.alarms * one.comparisons <= stats.binom.ppf(0.99, one.comparisons, ours.LEVEL), one


@pytest.mark.parametrize("distance", [0.3, 2.0, 5.0])
def test_quantiles_and_p_values_are_those_of_t_and_of_the_normal_at_the_ends(distance):
    assert ours.p_value(distance, 5, 1.0) == pytest.approx(2 * stats.t.sf(distance, 4), rel=1e-6)
    assert ours.p_value(distance, 5, 0.0) == pytest.approx(2 * stats.norm.sf(distance), rel=1e-6)
    assert ours.quantile(1 - ours.p_value(distance, 5, 0.4) / 2, 5, 0.4) == pytest.approx(distance, rel=1e-6)


@pytest.mark.parametrize("values", [2, 5, 30])
@pytest.mark.parametrize("of_values", [0.0, 0.4, 1.0])
def test_a_p_value_is_one_at_no_distance_the_level_at_the_limit_and_next_to_nothing_far_away(values, of_values):
    assert ours.p_value(0.0, values, of_values) == pytest.approx(1)
    limit = ours.quantile(1 - ours.LEVEL / 2, values, of_values)
    assert ours.p_value(limit, values, of_values) == pytest.approx(ours.LEVEL)
    distances = [0.0, 0.01, 0.5, limit * 0.99, limit, limit * 1.01, limit * 10]
    found = [ours.p_value(distance, values, of_values) for distance in distances]
    assert sorted(found, reverse=True) == found
    assert len(set(found)) == len(found)
    assert 0 <= ours.p_value(1e30, values, of_values) < 1e-14


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


def test_the_order_of_fewer_than_five_runs_is_not_told():
    values = np.array([0.5, 0.51, 0.52, 0.53, 0.54])
    assert ours.stochastic_order(values, values - 0.1) == 0
    for few in range(1, 5):
        assert np.isnan(ours.stochastic_order(values[:few], values - 0.1))
        assert np.isnan(ours.stochastic_order(values, values[:few] - 0.1))


def test_the_ratio_of_medians_holds_what_it_should_and_is_wider_for_fewer_runs():
    draw = np.random.default_rng(3)
    worlds = [(draw.normal(40, 2, 5), draw.normal(20, 2, 5)) for _ in range(200)]
    found = [ours.ratio_of_medians(*one, resamples=500) for one in worlds]
    assert np.mean([one.low <= 2 <= one.high for one in found]) >= 0.95
    assert np.mean([one.low > 1.3 for one in found]) > 0.95
    assert np.isnan(ours.ratio_of_medians(np.array([3.0]), np.array([2.0, 2.0])).low)


@pytest.mark.parametrize(("few", "many"), [(8, 8), (8, 30), (30, 8)])
def test_the_ratio_s_interval_leaves_out_what_the_expanded_percentiles_of_the_fewer_runs_do(few, many):
    draw = np.random.default_rng(7)
    values = draw.normal(40, 4, few), draw.normal(20, 2, many)
    medians = [np.median(draw.choice(one, (100_000, len(one))), axis=1) for one in values]
    below = (medians[0] / medians[1] < ours.ratio_of_medians(*values, resamples=50_000).low).mean()
    above = (medians[0] / medians[1] > ours.ratio_of_medians(*values, resamples=50_000).high).mean()
    expected = stats.norm.sf(np.sqrt(8 / 7) * stats.t.isf(0.025, 7))  # Hesterberg 2015, equation 8
    assert (below, above) == (pytest.approx(expected, rel=0.2), pytest.approx(expected, rel=0.2))


@pytest.mark.parametrize("scatter", ["seeds", "rows"])
def test_p_values_of_libraries_that_are_the_same_are_uniform(scatter):
    draw, seeds, p = np.random.default_rng(4), 5, []
    for _ in range(1000):
        if scatter == "seeds":
            observed = draw.normal(0, 1, 2 * seeds)
            resampled = np.tile(observed, (2, 1))
        else:
            observed = np.repeat(draw.normal(0, 1, 2), seeds)
            resampled = observed + np.repeat(draw.normal(0, 1, (500, 2)), seeds, 1)
        found = ours.difference(ours.Scores(observed, resampled), list(range(seeds)), list(range(seeds, 2 * seeds)))
        p.append(found.p)
    assert stats.kstest(p, "uniform").pvalue > 0.05


@pytest.mark.parametrize("spread", [0.0, 0.3], ids=["rows scatter most", "seeds scatter most"])
def test_a_recipe_dealt_into_halves_is_called_different_no_more_often_than_said(spread):
    draw = np.random.default_rng(4)
    found = [simulated(draw, [0.3], seeds=10, spread=spread) for _ in range(100)]
    dealt = [ours.false_alarms(one, times=20) for one in found]
    assert sum(alarms for alarms, _ in dealt) <= ours.LEVEL * 20 * len(found)


def test_a_difference_of_the_smallest_size_that_is_told_is_shown_as_often_as_said():
    draw, runs = np.random.default_rng(5), (list(range(5)), list(range(5, 10)))
    alike = [ours.difference(simulated(draw, [0.3, 0.3]), *runs) for _ in range(30)]
    smallest = np.median([one.smallest() for one in alike])
    slope = np.mean([ours.difference(simulated(draw, [0.4, 0.3]), *runs).value for _ in range(30)]) / 0.1
    shown = [ours.difference(simulated(draw, [0.3 + smallest / slope, 0.3]), *runs).p < 0.05 for _ in range(80)]
    assert 0.6 < np.mean(shown) < 0.95
