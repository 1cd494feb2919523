"""The statistics of compare where they are computed: resamples in parts, intervals, and what loops would give."""

import itertools

import numpy as np
import pytest
from scipy import stats

from harness.figures.metrics import METRICS, counts
from harness.results.compare import statistics as ours

MACRO_F1 = METRICS["classification"].counted["macro_f1"]


class Watched:
    """A figure whose sums are the weights themselves: what each row counts is that row alone, times the run."""

    def __init__(self):
        self.runs, self.weights = [], []
        self.counted = counts.Counted(self.counts, self.figure)

    def counts(self, labels, answers):
        self.runs.append(answers.shape[1])
        return np.eye(len(labels), dtype=np.uint8)[:, None] * answers[:1, :, None]

    def figure(self, sums):
        self.weights.append(sums[:, 0])
        return sums[..., 0].astype(float)


@pytest.mark.parametrize(("cells", "blocks"), [(10**9, [7]), (3 * 20 * 10, [3, 3, 1]), (1, [1] * 7)])
def test_runs_are_counted_in_blocks_of_as_many_as_memory_is_for(monkeypatch, cells, blocks):
    watched, draw = Watched(), np.random.default_rng(0)
    answers, weights = np.tile(np.arange(1, 8, dtype=np.uint8), (10, 1)), draw.integers(0, 3, (20, 10))
    monkeypatch.setattr(ours, "CELLS_AT_ONCE", cells)
    found = ours.figures(watched.counted, np.zeros(10, int), answers, weights.astype(np.float32))
    assert watched.runs == [1, *blocks]  # the first tells how much a run takes
    assert found.tolist() == (weights[:, :1] * np.arange(1, 8)).tolist()
    assert watched.weights[0].dtype == np.float32


@pytest.mark.parametrize("at_once", [10**9, 12 * 7, 1])
def test_resamples_draw_as_many_rows_as_there_are_each_as_often_as_another(monkeypatch, at_once):
    watched, rows = Watched(), 12
    monkeypatch.setattr(ours, "ROWS_AT_ONCE", at_once)
    found = ours.scores(watched.counted, np.zeros(rows, int), np.ones((rows, 2), np.uint8), resamples=1000)
    *parts, whole = watched.weights
    assert {len(part) for part in parts[:-1]} <= {max(at_once // rows, 1)}
    weights = np.concatenate(parts)
    assert weights.dtype == np.float32
    assert found.resampled.shape == (len(weights), 2) == (1000, 2)
    assert set(weights.sum(1)) == {rows}
    assert stats.chisquare(weights.sum(0)).pvalue > 0.01
    assert weights.var() == pytest.approx(1 - 1 / rows, rel=0.05)  # binomial
    assert len(np.unique(weights, axis=0)) > 990
    assert (found.observed.tolist(), whole.tolist()) == ([1, 1], [[1] * rows])


@pytest.mark.parametrize(("draws", "resamples", "expected"), [
    (3050, 300, 300), (2500, 300, 250), (100, 300, 200), (1, 150, 150), (2990, 300, 299),
])  # fmt: skip
def test_of_many_rows_there_are_fewer_resamples_but_two_hundred(monkeypatch, draws, resamples, expected):
    monkeypatch.setattr(ours, "DRAWS", draws)
    found = ours.scores(MACRO_F1, np.arange(10) % 2, np.zeros((10, 1), int), resamples)
    assert len(found.resampled) == expected


def test_what_is_drawn_is_the_same_each_time_and_another_by_seed():
    draw = np.random.default_rng(0)
    labels, answers = draw.integers(0, 3, 50), draw.integers(0, 3, (50, 1))
    first, again, other = (ours.scores(MACRO_F1, labels, answers, 50, seed).resampled for seed in (3, 3, 4))
    assert first.tolist() == again.tolist() != other.tolist()
    few, many = draw.normal(0, 1, 6), draw.normal(0.3, 1, 7)
    assert len({ours.stochastic_order(few, many) for _ in range(3)}) == 1
    assert len({ours.ratio_of_medians(few + 9, many + 9) for _ in range(3)}) == 1


def test_where_one_class_is_all_there_is_its_f1_is_the_figure():
    found = ours.scores(MACRO_F1, np.full(10, 3), np.full((10, 1), 3), 20)
    assert found.observed.tolist() == [1]
    assert (found.resampled == 1).all()


def test_a_difference_of_one_seed_is_a_value_alone():
    found = ours.difference(ours.Scores(np.array([0.7, 0.5]), np.ones((9, 2))), [0], [1])
    assert (found.seeds, found.value, found.tested) == (1, pytest.approx(0.2), False)
    assert np.isnan([found.low, found.high, found.p, found.error, found.of_seeds]).all()


def test_where_rows_do_not_matter_it_is_the_paired_t_test():
    observed = np.random.default_rng(1).normal(0.5, 0.1, 12)
    found = ours.difference(ours.Scores(observed, np.tile(observed, (50, 1))), list(range(6)), list(range(6, 12)))
    expected = stats.ttest_rel(observed[:6], observed[6:])
    assert found.p == pytest.approx(expected.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval(0.95)))
    assert (found.seeds, found.of_seeds) == (6, 1)
    for level in (0.05, 0.01):
        away = stats.t.isf(level / 2, 5) + stats.t.ppf(0.8, 5)
        assert found.smallest(level) == pytest.approx(away * found.error)


def test_where_seeds_do_not_matter_the_rows_are_normal_and_what_both_make_of_a_row_counts_for_nothing():
    draw = np.random.default_rng(2)
    common, own = draw.normal(0, 1, (20_000, 1)), draw.normal(0, 0.01, (20_000, 1))
    resampled = np.hstack([common + own, common + own, common, common])
    found = ours.difference(ours.Scores(np.array([0.02, 0.02, 0, 0]), resampled), [0, 1], [2, 3])
    assert found.error == pytest.approx(0.01, rel=0.02)
    assert (found.low, found.high) == pytest.approx(tuple(0.02 + np.array([-1, 1]) * 1.959964 * found.error))
    assert found.p == pytest.approx(2 * stats.norm.sf(0.02 / found.error), rel=1e-6)
    assert found.smallest() == pytest.approx((1.959964 + 0.841621) * found.error, rel=1e-5)


@pytest.mark.parametrize("number", range(4))
def test_the_variance_is_that_of_loops_over_seeds_and_resamples_and_the_interval_ends_where_p_is_the_level(number):
    draw, seeds = np.random.default_rng(number), 3
    observed, resampled = draw.normal(0, [1, 0.1, 3, 0.5][number], 6), draw.normal(0, 1, (5, 6))
    found = ours.difference(ours.Scores(observed, resampled), [0, 1, 2], [3, 4, 5])
    gaps = [observed[seed] - observed[seed + 3] for seed in range(seeds)]
    drawn = [[one[seed] - one[seed + 3] for seed in range(seeds)] for one in resampled]
    centres = [sum(one) / seeds for one in drawn]
    apart = [[one[seed] - centre for one, centre in zip(drawn, centres, strict=True)] for seed in range(seeds)]
    both = sum(sample_variance(one) for one in apart) / seeds / (seeds - 1)
    by_seeds = sample_variance(gaps) / seeds
    variance = max(by_seeds, both / (seeds - 1)) + max(sample_variance(centres) - both, 0)
    assert (found.error**2, found.of_seeds) == pytest.approx((variance, by_seeds / variance))
    half = (found.high - found.low) / 2
    assert (found.low + half, found.value) == pytest.approx((found.value, sum(gaps) / seeds))
    assert ours.p_value(half / found.error, seeds, found.of_seeds) == pytest.approx(0.05)
    assert ours.p_value(abs(found.value) / found.error, seeds, found.of_seeds) == found.p


def sample_variance(values):
    mean = sum(values) / len(values)
    return sum((value - mean) ** 2 for value in values) / (len(values) - 1)


def test_the_interval_of_two_values_is_there_of_one_the_value_and_of_none_nothing():
    two = np.array([0.5, 0.6])
    assert ours.mean_interval(two) == pytest.approx((0.55, *stats.t.interval(0.95, 1, 0.55, stats.sem(two))))
    value, *interval = ours.mean_interval(two[:1])
    assert value == 0.5
    assert np.isnan([*interval, *ours.mean_interval(two[:0])]).all()


@pytest.mark.parametrize(("few", "many"), [(5, 7), (6, 9)])
def test_the_order_is_that_of_a_loop_over_samples(few, many):
    draw = np.random.default_rng(few)
    low, high = draw.normal(0.6, 1, few), draw.normal(0, 1, many)
    again = [ours.violation(draw.choice(low, few)[None], draw.choice(high, many)[None])[0] for _ in range(20_000)]
    expected = ours.violation(low[None], high[None])[0] + 1.645 * np.std(again)
    assert 0.2 < expected < 1, "else the bound is no check"
    assert ours.stochastic_order(low, high) == pytest.approx(expected, rel=0.05)
    assert ours.stochastic_order(low, high, level=0.5) == pytest.approx(ours.violation(low[None], high[None])[0])
    assert ours.stochastic_order(high, low, level=0.001) == 1


def test_samples_are_each_by_itself():
    draw = np.random.default_rng(0)
    ones, others = draw.normal(0, 1, (4, 6)), draw.normal(0, 1, (4, 9))
    each = [ours.violation(one[None], other[None])[0] for one, other in zip(ones, others, strict=True)]
    assert ours.violation(ones, others).tolist() == each


@pytest.mark.parametrize(("few", "many"), [(2, 2), (3, 5), (5, 9)])
def test_the_ratio_of_medians_is_that_of_numpy_s_and_its_ends_are_ratios_that_samples_have(few, many):
    draw = np.random.default_rng(few)
    values = draw.normal(40, 4, few), draw.normal(20, 2, many)
    found = ours.ratio_of_medians(*values)
    medians = [np.median(draw.choice(one, (100_000, len(one))), axis=1) for one in values]
    tail = stats.norm.sf(np.sqrt(few / (few - 1)) * stats.t.isf(0.025, few - 1))
    assert found.value == np.median(values[0]) / np.median(values[1])
    assert (found.low, found.high) == pytest.approx(np.quantile(medians[0] / medians[1], [tail, 1 - tail]), rel=0.02)
    value, *interval = ours.ratio_of_medians(values[0][:1], values[1])
    assert value == values[0][0] / np.median(values[1])
    assert np.isnan(interval).all()


@pytest.mark.parametrize("runs", [4, 5, 6])
def test_halves_are_dealt_at_random(runs):
    """So that alarms are as frequent as over all ways to deal them."""
    draw = np.random.default_rng(1)
    observed = np.where(np.arange(runs) % 2, 0.5, 0.6) + draw.normal(0, 0.005, runs)
    scores = ours.Scores(observed, observed + draw.normal(0, 0.001, (50, runs)))
    half, ways = runs // 2, list(itertools.permutations(range(runs)))
    alarms = [ours.difference(scores, list(one[:half]), list(one[half : 2 * half])).p < ours.LEVEL for one in ways]
    found, side = ours.false_alarms(scores, times=1000)
    assert side == half
    assert 0 < np.mean(alarms) < 1
    assert found / 1000 == pytest.approx(np.mean(alarms), abs=4 * np.std(alarms) / np.sqrt(1000))
