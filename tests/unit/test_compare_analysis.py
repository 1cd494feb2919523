"""What compare computes for a group: who competes, in which order, on which seeds, and who is better.

Runs are made up, with rows and predictions of our own choosing.
"""

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from results_support import known, row, several, write

from harness.base.errors import UserError
from harness.figures.metrics import METRICS, Figure
from harness.figures.metrics.counts import Counted, of_rows, share
from harness.results import reading
from harness.results.compare import against, analysis, statistics
from harness.results.compare.analysis import Contestant
from harness.results.reading import Result
from harness.runs.row import Row

TIMES = ["train.seconds", "inference.batch1.p50_ms", "memory.peak_rss_mb"]
COST = {one.key: one for one in analysis.COSTS}
QUALITY = {one.key: one for one in analysis.quality(METRICS["classification"])}


def results(*rows):
    return [Result(Row(one), Path("nowhere")) for one in rows]


def contestant(name, scores, **changed):
    """Return one that competes, with a run a score, whose seeds count from 0."""
    runs = results(*(row(name, seed, test__macro_f1=score, **changed) for seed, score in enumerate(scores)))
    return Contestant(name, runs)


def errors(monkeypatch):
    """Let classification be scored by the share of errors, which is better the lower it is."""
    wrong = Counted(of_rows, lambda sums: 1 - share(sums))
    changes = {
        "primary": "error",
        "figures": {**METRICS["classification"].figures, "error": Figure("error", "minimize")},
    }
    monkeypatch.setitem(
        METRICS, "classification", replace(METRICS["classification"], **changes, counted={"error": wrong})
    )


def with_errors(folder):
    """Add to rows their errors, and return the results."""
    found = reading.read(folder)
    for one in found:
        one.row = Row(
            {**one.row, **{f"{split}.error": 1 - one.row[f"{split}.accuracy"] for split in ("valid", "test")}}
        )
    return found


def test_figures_are_the_task_s_primary_on_each_split_what_else_it_shows_and_costs():
    assert [(one.key, one.name, one.most) for one in analysis.quality(METRICS["classification"])] == [
        ("valid.macro_f1", "valid macro-F1", 1), ("test.macro_f1", "test macro-F1", 1),
        ("test_unseen.macro_f1", "unseen macro-F1", 1), ("test.accuracy", "test accuracy", 1),
    ]  # fmt: skip
    several_labels = [one.key for one in analysis.quality(METRICS["multilabel"])]
    assert several_labels == [
        "valid.macro_f1",
        "test.macro_f1",
        "test_unseen.macro_f1",
        *("test.micro_f1", "test.exact_match", "test.average_precision"),
    ]


def test_groups_stand_in_the_order_of_their_titles():
    made = [("onet", "a", "minilm"), ("emscad", "b", "minilm"), ("emscad", "a", "zz"), ("emscad", "c", None)]
    rows = [row("torch", 0, data=data, data_digest=digest, model=model) for data, digest, model in made]
    titles = [one.group.title for one in analysis.analyse(results(*rows), pairs=False)]
    assert titles == sorted(titles)
    assert len(titles) == 4


def test_in_a_group_the_best_on_valid_stands_first_and_one_without_runs_last():
    scores = {"keras": 0.3, "torch": 0.9, "flair": 0.5, "fastai": 0.7}
    rows = [
        row(name, seed, valid__macro_f1=score, test__macro_f1=1 - score)
        for name, score in scores.items()
        for seed in (0, 1)
    ]
    rows.append(row("hf_trainer", 0, status="failed"))
    (found,) = analysis.analyse(results(*rows), pairs=False)
    assert [one.name for one in found.contestants] == ["torch", "fastai", "flair", "keras", "hf_trainer"]
    assert found.pairs is None


def test_what_a_result_is_decides_where_it_counts():
    rows = {
        "runs": row("torch", 0), "again": row("torch", 0), "failed": row("torch", 1, status="failed"),
        "interrupted": row("torch", 2, status="interrupted"), "pruned": row("torch", 3, status="pruned"),
    }  # fmt: skip
    rows["trial"] = {key: value for key, value in row("torch", 4).items() if not key.startswith("test.")}
    rows["memory"] = row("torch", 5, status="out_of_memory")
    made = dict(zip(rows, results(*rows.values()), strict=True))
    one = analysis.sorted_out("torch", list(made.values()))
    assert (one.name, one.trials) == ("torch", 2)
    assert (one.runs, one.again, one.interrupted) == ([made["runs"]], [made["again"]], [made["interrupted"]])
    assert one.failed == [made["failed"], made["memory"]]
    assert one.seeds == {0: made["runs"]}


def test_times_are_of_runs_on_a_quiet_machine_and_all_else_of_all_runs():
    runs = results(*(row("torch", n, train__seconds=10.0 * n, memory__peak_rss_mb=n, timing=timing)
                     for n, timing in enumerate(["ok", "noisy", "told", None, "ok"])))  # fmt: skip
    one = Contestant("torch", [*runs, *results(row("torch", 9, train__seconds=None, memory__peak_rss_mb=None))])
    assert one.values(COST["train.seconds"]).tolist() == [0, 20, 40]
    assert one.values(COST["memory.peak_rss_mb"]).tolist() == [0, 1, 2, 3, 4]
    assert one.values(COST["train.seconds"]).dtype == float


def test_quality_is_a_mean_with_an_interval_within_its_bounds_and_costs_are_medians():
    one = contestant("torch", [0.02, 0.9, 0.99], train__seconds=7.0)
    values = np.array([0.02, 0.9, 0.99])
    found, whole = one.summary(QUALITY["test.macro_f1"]), statistics.mean_interval(values)
    assert whole.low < 0 < 1 < whole.high
    assert found == (pytest.approx(values.mean()), 0, 1)
    assert contestant("torch", [0.02, 0.99]).summary(QUALITY["test.macro_f1"])[1:] == (0, 1)
    near = contestant("torch", [0.5, 0.51, 0.52])
    assert near.summary(QUALITY["test.macro_f1"]) == statistics.mean_interval(np.array([0.5, 0.51, 0.52]))
    times = Contestant("torch", results(*(row("torch", n, train__seconds=s) for n, s in enumerate([1.0, 2.0, 9.0]))))
    value, *interval = times.summary(COST["train.seconds"])
    assert value == 2
    assert np.isnan(interval).all()
    value, *interval = contestant("torch", [0.7]).summary(QUALITY["test.macro_f1"])
    assert value == 0.7
    assert np.isnan(interval).all()
    assert Contestant("torch").summary(COST["train.seconds"]) is None


def test_runs_are_paired_by_the_seeds_that_both_have():
    ours, others = (Contestant(name, results(*(row(name, seed) for seed in seeds)))
                    for name, seeds in (("torch", [3, 1, 2]), ("flair", [2, 4, 3])))  # fmt: skip
    pairs = list(zip(*analysis.paired(ours, others), strict=True))
    assert [(one.row["seed"], other.row["seed"]) for one, other in pairs] == [(3, 3), (2, 2)]
    assert {(one.name, other.name) for one, other in pairs} == {("torch", "flair")}


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("pairs", [0, 1, 6])
def test_the_order_is_that_of_the_one_with_the_higher_sum(swapped, pairs):
    better, worse = np.array([0.45, 0.7, 0.72, 0.74, 0.76, 0.78, 0.8, 0.82]), np.linspace(0.5, 0.64, 8)
    assert better.sum() > worse.sum()
    assert better.tolist() < worse.tolist(), "the first is not what decides"
    both = [contestant("torch", better), contestant("flair", worse)]
    expected = statistics.stochastic_order(better, worse, 0.05 / max(pairs, 1))
    assert 0 < expected < 1
    assert analysis.order(*(both[::-1] if swapped else both), pairs) == expected


def test_a_ratio_takes_figures_above_nothing_of_both():
    seconds = {"torch": [0.4, 0.5, 0.6], "flair": [0.2, 0.3, 0.4]}
    lacks = {"torch": {"memory__peak_rss_mb": 0.0}, "flair": {"inference__batch1__p50_ms": None}}
    ours, others = (
        Contestant(name, results(*(row(name, n, train__seconds=one, **lacks[name]) for n, one in enumerate(values))))
        for name, values in seconds.items()
    )
    found = analysis.ratios(ours, others)
    assert list(found) == ["train.seconds"]
    assert found["train.seconds"] == statistics.ratio_of_medians(*map(np.array, seconds.values()))
    assert list(analysis.ratios(others, others)) == ["train.seconds", "memory.peak_rss_mb"]
    assert [one.key for one in analysis.RATIOS] == TIMES


def test_pairs_are_of_those_with_runs_and_p_values_are_corrected_over_those_tested(tmp_path):
    several(tmp_path, {"torch": 0.5, "keras": 0.9, "flair": 0.6}, seeds=range(5), rows=300)
    several(tmp_path, {"fastai": 0.5}, seeds=[4], rows=300)
    write(tmp_path, row("hf_trainer", 0, status="failed"))
    made = reading.read(tmp_path)
    for one in made:  # who is better on valid is worse on test
        one.row = Row({**one.row, "valid.macro_f1": 1 - one.row["test.macro_f1"]})
    (found,) = analysis.analyse(made, pairs=True)
    names = [frozenset([pair.ours, pair.others]) for pair in found.pairs]
    assert sorted(map(sorted, names)) == sorted(
        map(list, itertools.combinations(["fastai", "flair", "keras", "torch"], 2))
    )
    tested = [pair for pair in found.pairs if pair.difference.tested]
    assert {frozenset([pair.ours, pair.others]) for pair in tested} == {name for name in names if "fastai" not in name}
    assert found.smallest_level == pytest.approx(0.05 / 3)
    holm = statistics.holm(np.array([pair.difference.p for pair in tested]))
    assert [pair.corrected for pair in tested] == holm.tolist()
    by_name = {one.name: one for one in found.contestants}
    for pair in found.pairs:
        ours, others = by_name[pair.ours], by_name[pair.others]
        same = [statistics.mean_interval(np.array([run.row["test.macro_f1"] for run in runs])).value
                for runs in analysis.paired(ours, others)]  # fmt: skip
        assert pair.shown == (pair.corrected < 0.05)
        assert list(pair.ratios) == TIMES
        if pair.difference.tested:
            alone = analysis.predictions_scored([*ours.runs, *others.runs])
            expected = statistics.difference(alone, list(range(5)), list(range(5, 10)))
            assert pair.difference == expected
            assert pair.difference.value == pytest.approx(same[0] - same[1], abs=1e-6)
            assert pair.better == (pair.ours if same[0] > same[1] else pair.others)
            assert pair.order == analysis.order(ours, others, 3)
        else:
            assert pair.difference.seeds == 1
            assert np.isnan([pair.corrected, pair.difference.value, pair.difference.p, pair.order]).all()


def test_without_pairs_the_level_is_that_of_one():
    (found,) = analysis.analyse(results(row("torch", 0)), pairs=True)
    assert (found.pairs, found.smallest_level) == ([], 0.05)


def test_predictions_are_read_only_where_two_seeds_can_be_tested_and_who_has_no_runs_is_in_no_pair():
    one, other, none = contestant("torch", [0.5]), contestant("flair", [0.6, 0.7]), Contestant("keras")
    ((ours, others, found, p),) = analysis.tested([none, one, other])  # there are no files of predictions
    assert (ours, others, found.seeds, found.tested) == (one, other, 1, False)
    assert np.isnan(p)


def test_one_run_has_scores_too(tmp_path):
    write(tmp_path, row("torch", 0), test=(np.arange(9) % 3, np.arange(9) % 2))
    (one,) = reading.read(tmp_path)
    assert analysis.predictions_scored([one]).observed == pytest.approx([one.row["test.macro_f1"]])


def test_predictions_of_other_rows_are_refused_with_both_folders(tmp_path):
    labels = np.arange(6) % 3
    folders = [write(tmp_path, row("torch", seed), test=(np.roll(labels, seed), labels)) for seed in (0, 1)]
    with pytest.raises(UserError) as refused:
        analysis.predictions_scored(reading.read(tmp_path))
    said = f"{folders[1]}: its test rows are not those of {folders[0]}; remove one, or choose one."
    assert str(refused.value) == said


def test_those_of_other_identities_are_apart_unless_they_are_asked_for_beside():
    runs = results(*(known(row("torch", seed), code=code, ended=f"2026-01-0{day}T00:00:00+00:00")
                     for day, code in ((1, "a" * 12), (2, "b" * 12)) for seed in (0, 1)))  # fmt: skip
    (found,) = analysis.analyse(runs, pairs=False)
    assert [one.name for one in found.contestants] == ["torch"]
    assert len(found.apart) == 1
    (found,) = analysis.analyse(runs, pairs=False, beside=True)
    assert len(found.contestants) == 2
    assert found.apart == []


def test_where_less_is_better_the_lowest_is_first_and_better_and_more_is_worse(tmp_path, monkeypatch):
    several(tmp_path / "now", {"torch": 0.2, "keras": 1.2}, rows=300)
    several(tmp_path / "then", {"torch": 1.2, "keras": 0.2}, rows=300)
    errors(monkeypatch)
    now, then = (analysis.analyse(with_errors(tmp_path / name), pairs=True) for name in ("now", "then"))
    assert [one.name for one in now[0].contestants] == ["keras", "torch"]
    (pair,) = now[0].pairs
    assert (pair.better, pair.shown) == ("keras", True)
    assert pair.difference.value < 0
    assert pair.order < 0.2
    verdicts = {line[0]: line[-1] for line in against.compared(now, then)[0].tables[0].rows}
    assert verdicts == {"torch": "WORSE", "keras": "better"}
    lone = [one for one in analysis.quality(METRICS["classification"]) if one.key == "test.error"]
    assert lone[0].most == np.inf
