"""The choice of a library: properties of the order, over results made up at random."""

import datetime
import json
import random
import shlex
import statistics
import warnings
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from choose_support import LIBRARIES, NAMES, answered, asked, left, value, world, write
from results_support import known, row
from results_support import write as write_run
from support import ROOT

from harness.results import choose, reading
from harness.results.choose.criteria import Check
from harness.results.choose.evidence import measures
from harness.results.choose.question import LIMITS
from harness.results.choose.schema import Criterion
from harness.results.compare.analysis import analyse
from harness.results.compare.statistics import mean_interval

MEASURES = measures("classification")


@pytest.mark.parametrize("number", range(5))
def test_a_tighter_constraint_never_adds_a_library(tmp_path, number):
    folder, draw = write(tmp_path, world(number)), random.Random(number)
    for name in LIMITS:
        found = {value(one, name): one["name"] for one in asked(folder)["libraries"]}
        loose, tight = sorted(draw.sample(sorted(found), 2), reverse=not MEASURES[name].more)
        kept = [left(asked(folder, choose.Question(limits={name: limit}))) for limit in (loose, tight)]
        assert kept[1] <= kept[0] <= set(NAMES)
        assert found[loose] in kept[0] and found[tight] in kept[1], "who just reaches a limit holds it"
        assert found[loose] not in kept[1]
    whole = choose.Question()
    for loose, tight in [
        (whole, replace(whole, where="both")),
        (replace(whole, own=["callbacks", "loop"]), replace(whole, own=["loop"])),
        (replace(whole, watch=["loss"]), replace(whole, watch=["loss", "gradient_norm"])),
        (replace(whole, age=30), replace(whole, age=2)),
        (whole, replace(whole, task="tagging")),
        (whole, replace(whole, aim="reproduce")),
    ]:
        assert left(asked(folder, tight)) < left(asked(folder, loose))


@pytest.mark.parametrize("number", range(5))
def test_the_order_is_that_of_the_figures_and_not_of_the_files(tmp_path, number):
    rows = world(number)
    before = asked(write(tmp_path / "one", rows))
    random.Random(number).shuffle(rows)
    after = asked(write(tmp_path / "other", rows))
    for key in ("name", "rank", "on_front", "equal", "beaten_by"):
        assert [one[key] for one in before["libraries"]] == [one[key] for one in after["libraries"]]


@pytest.mark.parametrize("number", range(8))
def test_a_dominated_library_is_never_before_one_that_dominates_it(tmp_path, number):
    limit = choose.Question(limits={"memory_mb": 1200.0})
    answer = asked(write(tmp_path, world(number)), limit)
    ranked = [one for one in answer["libraries"] if one["status"] == "fits"]
    front = ["quality", "train_minutes", "p95_ms", "memory_mb", "environment_mb"]
    assert answer["front"] == [MEASURES[name].title for name in front]
    points = [[-value(one, name) if name == "quality" else value(one, name) for name in front] for one in ranked]
    for place, point in enumerate(points):
        above = [at for at, other in enumerate(points) if reading.beats(other, point)]
        assert all(at < place and ranked[at]["rank"] < ranked[place]["rank"] for at in above)
        assert ranked[place]["on_front"] == (not above)
        assert set(ranked[place]["beaten_by"]) == {ranked[at]["name"] for at in above}
    assert ranked[0]["rank"] == 1
    for name, title in zip(front, answer["front"], strict=True):
        values = [point[front.index(name)] for point in points]
        assert [title in one["best_in"] for one in ranked] == [own == min(values) for own in values]
    listed = [(one["rank"], -value(one, "quality")) for one in ranked]
    assert listed == sorted(listed)


def test_each_reason_has_runs_that_are_there_and_say_so_or_a_source_and_a_date(tmp_path):
    answer = asked(write(tmp_path, world(1)), choose.Question(language="fr", age=24, own=["callbacks", "call"]))
    keys = {
        "quality": "valid.macro_f1",
        "p95_ms": "inference.batch1.p95_ms",
        "texts_per_second": "inference.batch32.texts_per_second",
    }
    held = 0
    for one in answer["libraries"]:
        for check in [*one["reasons"], *one["broken"]]:
            rows = [json.loads((Path(run) / "result.json").read_text(encoding="utf-8")) for run in check["runs"]]
            assert {row["recipe"] for row in rows} <= {one["name"].split()[0]}
            if check["name"] in keys:
                middle = statistics.fmean if check["name"] == "quality" else statistics.median
                assert check["value"] == pytest.approx(middle(row[keys[check["name"]]] for row in rows))
                held += 1
            if not rows:
                assert check["date"] or (ROOT / check["source"].partition(":")[0]).is_file()
    assert held >= 3 * 3


def test_what_compare_cannot_tell_apart_is_equal_and_what_it_can_is_not(tmp_path):
    """Made so that unpaired intervals over seeds say something else: seeds scatter far more than the two differ."""
    draw = np.random.default_rng(0)
    labels, noise = draw.integers(0, 4, 600), draw.normal(0, 1, (5, 600))
    ability = draw.normal(0.3, 0.4, (5, 1))
    for recipe, better, seconds in [("flair", 0.0, 40.0), ("torch", 0.12, 40.0), ("fastai", 0.01, 90.0)]:
        made = np.where(noise + draw.normal(0, 0.1, (5, 600)) < ability + better, labels, (labels + 1) % 4)
        for seed, predicted in enumerate(made):
            one = row(recipe, seed, **{"train.seconds": seconds + draw.normal(), "environment.size_mb": 1000.0})
            write_run(tmp_path, one, valid=(labels, predicted), test=(labels, predicted))
    answer = asked(tmp_path)
    (analysis,) = analyse(reading.read(tmp_path), pairs=True)
    equal = {
        frozenset([one["name"], other]): titles for one in answer["libraries"] for other, titles in one["equal"].items()
    }
    shown = {frozenset([pair.ours, pair.others]) for pair in analysis.pairs if pair.shown}
    assert shown == {frozenset(["flair", "torch"]), frozenset(["fastai", "torch"])}
    assert {pair for pair, titles in equal.items() if "test macro-F1" not in titles} == shown
    assert overlapping(analysis.contestants), "intervals that are not paired tell nobody apart"
    for pair in analysis.pairs:
        names = frozenset([pair.ours, pair.others])
        ratio = pair.ratios["train.seconds"]
        assert ("training time" in equal[names]) == (ratio.low <= 1 <= ratio.high)
        assert {"peak memory", "environment size"} <= set(equal[names])
    said = {one["name"]: one for one in answer["libraries"]}
    assert said["flair"]["not_told_apart"] == []
    assert "not shown to be worse" not in choose.told(answer)


def overlapping(contestants):
    intervals = [mean_interval(np.array([run.row["valid.macro_f1"] for run in one.runs])) for one in contestants]
    return max(one.low for one in intervals) < min(one.high for one in intervals)


def test_of_libraries_without_two_seeds_in_common_it_is_told_that_they_were_not_tested(tmp_path):
    labels = np.arange(60) % 3
    for recipe, seeds in (("flair", range(5)), ("torch", range(4, 9)), ("fastai", range(5))):
        for seed in seeds:
            predicted = np.roll(labels, 1) if recipe == "torch" else labels
            write_run(tmp_path, row(recipe, seed), valid=(labels, predicted), test=(labels, predicted))
    answer = asked(tmp_path)
    (fastai,) = [one for one in answer["libraries"] if one["name"] == "fastai"]
    assert {name: "test macro-F1" in titles for name, titles in fastai["equal"].items()} == {
        "flair": True,
        "torch": False,
    }
    assert answer["recommendation"]["take"] == "fastai"
    assert "not tested beside, for want of two seeds or of predictions: torch" in answer["recommendation"]["why"]


def test_a_figure_of_zero_has_no_ratio_and_equals_itself_alone(tmp_path):
    rows = [one | {"inference.batch1.p95_ms": 0.0} if one["recipe"] in ("torch", "flair") else one for one in world(1)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        said = {one["name"]: one["equal"] for one in asked(write(tmp_path, rows))["libraries"]}
    assert {name for name, titles in said["torch"].items() if "latency p95" in titles} == {"flair"}


def test_without_predictions_nobody_is_called_equal_in_quality_and_the_answer_says_why(tmp_path):
    answer = asked(write(tmp_path, world(1)))
    assert not any("test macro-F1" in titles for one in answer["libraries"] for titles in one["equal"].values())
    assert any("who equals whom in test macro-F1 is not told" in note for note in answer["measured"]["notes"])


def test_without_results_the_traits_answer_and_how_to_measure_is_told(tmp_path):
    answer = asked(tmp_path, choose.Question(where="gpu", data="onet"))
    assert {"flair", "torch", "keras", "keras backend=torch"} <= left(answer)
    assert not {"tfidf", "mxnet"} & left(answer)
    said = choose.told(answer)
    assert "nothing is measured: no finished run of protocol=native data=onet on the gpu" in said
    assert "seed=0,1,2,3,4 data=onet placement=gpu" in said
    assert {one["rank"] for one in answer["libraries"]} == {1, None}


def test_the_oldest_of_the_packages_decides_the_age_on_the_day_it_was_looked_up(tmp_path):
    (fairseq,) = [library for library in LIBRARIES if library.name == "fairseq"]
    declared = fairseq.traits["releases"]
    oldest = min(datetime.date.fromisoformat(str(one["last"])) for one in declared.value.values())
    months = (datetime.date.fromisoformat(declared.date) - oldest).days / 30.4375
    assert "fairseq" in left(asked(tmp_path, choose.Question(age=months + 0.1)))
    assert "fairseq" not in left(asked(tmp_path, choose.Question(age=months - 0.1)))


def test_runs_of_another_protocol_device_or_data_and_failed_ones_do_not_count(tmp_path):
    others = [{"protocol": "controlled"}, {"placement": "gpu"}, {"data": "onet"}, {"status": "failed"}]
    for number, other in enumerate([*others, {"valid.macro_f1": None}]):
        folder = write(tmp_path / str(number), [one | other for one in world(2, seeds=1)])
        question = choose.Question(data="job_titles", results=[folder])
        assert choose.gather(question, NAMES).group is None
    on_gpu = choose.Question(where="gpu", results=[tmp_path / "1"])
    assert choose.gather(on_gpu, NAMES).group.placement == "gpu"
    assert choose.gather(choose.Question(results=[tmp_path / "2"]), NAMES).group.data == "onet"


def test_a_time_of_a_machine_that_was_not_quiet_is_no_time(tmp_path):
    rows = [one | {"timing": "noisy"} if one["recipe"] == "torch" else one for one in world(2)]
    answer = asked(write(tmp_path, rows), choose.Question(limits={"p95_ms": 1000.0}))
    torch = next(one for one in answer["libraries"] if one["name"] == "torch")
    assert torch["status"] == "not known"
    assert [check["name"] for check in torch["not_known"]] == ["p95_ms"]
    assert any("times of 3 of" in note for note in answer["measured"]["notes"])
    assert "latency p95" not in answer["front"]


@pytest.fixture
def reference(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "REFERENCE", write(tmp_path / "reference", world(1, seeds=5)))


SMOKE = {"train.rows": 200, "train.epochs": 1, "valid.macro_f1": 0.99, "train.seconds": 1.0}


@pytest.mark.parametrize(
    ("seeds", "libraries", "change", "lacks"),
    [
        (1, LIBRARIES[:6], SMOKE, ["1 of 5 seeds", "200 of 300 texts to train on", "1 of 4 epochs"]),
        (4, LIBRARIES, {}, ["4 of 5 seeds"]),
        (5, LIBRARIES, {"train.rows": 200}, ["200 of 300 texts to train on"]),
        (5, LIBRARIES, {"test.rows": 99}, ["99 of 100 test rows"]),
        (5, LIBRARIES, {"train.epochs": 3}, ["3 of 4 epochs"]),
        (5, LIBRARIES, {"timing": "noisy"}, ["0 of 5 runs seen to be on a quiet machine"]),
        (5, LIBRARIES[:1], {}, []),
    ],
    ids=["smoke", "seeds", "texts", "test rows", "epochs", "quiet", "alone"],
)
def test_own_results_that_are_weaker_than_compare_asks_stand_beside_and_order_nothing(
    tmp_path, reference, seeds, libraries, change, lacks
):
    question = choose.Question(outputs=tmp_path / "outputs")
    before = answered(question)
    kept = {key: value for key, value in change.items() if key != "train.epochs"}
    rows = [
        one | kept | ({"train.epochs": change["train.epochs"]} if "train.epochs" in change and one["model"] else {})
        for one in world(2, seeds, libraries)
    ]
    write(question.outputs, rows)
    after = answered(question)
    assert after["libraries"] == before["libraries"]
    assert after["recommendation"] == before["recommendation"]
    assert after["measured"]["from"] == "the reference results"
    (group,) = {after["beside"]["group"]}
    assert "job_titles" in group
    for one in after["beside"]["libraries"]:
        assert one["lacking"] == [lack for lack in lacks if one["name"] != "tfidf" or "epochs" not in lack]
    said = choose.told(after)
    assert all(lack in said for lack in lacks)
    assert f"--results {question.outputs}" in said
    asked_for = answered(replace(question, results=[question.outputs]))
    assert asked_for["measured"]["from"] == "your own results"
    assert all(lack in choose.told(asked_for) for lack in lacks)


def test_own_results_count_where_two_libraries_are_strong_and_weaker_ones_stand_beside(tmp_path, reference):
    question = choose.Question(outputs=tmp_path / "outputs")
    write(question.outputs, world(2, 5, LIBRARIES[:3]) + world(3, 2, LIBRARIES[3:5]))
    evidence = choose.gather(question, NAMES)
    assert evidence.own is True
    assert set(evidence.figures) == set(NAMES[:3])
    assert evidence.beside.lacking == {name: ["2 of 5 seeds"] for name in NAMES[3:5]}
    assert choose.gather(replace(question, data="onet"), NAMES).group is None


def test_of_data_that_the_reference_does_not_have_what_the_command_cut_is_weak(tmp_path, reference):
    words = [
        ["data=onet"],
        ["data=onet", "data.train_size=500"],
        ["data=csv", "train.epochs=2"],
        ["data=onet", "data.test_size=0.1"],
    ]
    lacks = [[], ["data.train_size=500"], ["2 of 4 epochs"], ["data.test_size=0.1"]]
    for number, (some, lack) in enumerate(zip(words, lacks, strict=True)):
        data = some[0].partition("=")[2]
        epochs = 2 if "train.epochs=2" in some else 4
        rows = [
            row(name, seed, words=some, data=data, **{"train.epochs": epochs})
            for name in ("flair", "torch")
            for seed in range(5)
        ]
        question = choose.Question(data=data, results=[write(tmp_path / str(number), rows)])
        assert choose.gather(question, NAMES).lacking == {"flair": lack, "torch": lack}


def test_where_all_is_ruled_out_one_is_told_what_to_relax(tmp_path):
    answer = asked(write(tmp_path, world(3)), choose.Question(limits={"environment_mb": 1.0}, own=["loop"]))
    assert not left(answer)
    assert answer["advice"][0] == f"--environment-mb rules out most: {len(NAMES)} of {len(NAMES)}."
    loops = [library.name for library in LIBRARIES if library.traits["own"].value == "loop"]
    (freed,) = [line for line in answer["advice"] if line.startswith("Without --environment-mb there would be: ")]
    assert sorted(freed.partition(": ")[2].removesuffix(".").split(", ")) == sorted(loops)
    assert any(line.startswith("torch breaks fewest: --environment-mb ≤ 1 MB, it has ") for line in answer["advice"])
    assert choose.told(answer).startswith("No library holds all that is wanted:\n")
    assert asked(tmp_path)["advice"] == []


@pytest.mark.parametrize("number", range(12))
def test_what_the_last_command_relaxes_lets_the_nearest_library_in(tmp_path, number):
    draw, folder = random.Random(number), write(tmp_path, world(number))
    limits = {
        name: draw.uniform(0.1, 0.9) * min(one) if not MEASURES[name].more else 10 * max(one)
        for name in draw.sample(sorted(LIMITS), draw.randint(1, 3))
        for one in [[value(library, name) for library in asked(folder)["libraries"]]]
    }
    question = choose.Question(
        limits=limits, own=draw.choice([[], ["loop"], ["call"]]), age=draw.choice([None, 1.0, 40.0])
    )
    advised = asked(folder, question)["recommendation"]
    assert advised["take"] is None
    words = shlex.split(advised["steps"][-1]["command"])
    assert words[:2] == ["python", "scripts/choose.py"]
    after = answered(choose.asked(choose.parser(None, LIBRARIES).parse_args(words[2:]), LIBRARIES))
    assert after["recommendation"]["take"]
    assert f"nearest is {after['recommendation']['take']}:" in advised["why"][-1] or len(left(after)) > 1


@pytest.mark.parametrize(
    "limits", [{"p95_ms": 1.0}, {"memory_mb": 1.0, "p95_ms": 10.0}, {"p95_ms": 100.0}, {}], ids=str
)
def test_what_is_unknown_never_stands_above_what_was_measured(tmp_path, limits):
    folder = write(tmp_path, world(1, 5, [library for library in LIBRARIES if library.name != "torch"]))
    answer = asked(folder, choose.Question(limits=limits))
    names = [one["name"] for one in answer["libraries"]]
    (torch,) = [one for one in answer["libraries"] if one["name"] == "torch"]
    assert names[-1] == "torch"
    assert torch["rank"] is None and torch["measured"] is False
    found = any(one["rank"] for one in answer["libraries"])
    assert bool(answer["advice"]) == (not found) == (answer["recommendation"]["take"] is None)
    said = choose.told(answer)
    assert said.startswith("No library that was measured holds all that is wanted:\n") == (not found)
    assert "torch: not measured" in said


def test_one_that_was_not_measured_is_taken_where_all_that_is_wanted_of_it_is_known(tmp_path):
    loops = [library for library in LIBRARIES if library.traits["own"].value == "loop"]
    folder = write(tmp_path, world(1, 5, [library for library in LIBRARIES if library not in loops]))
    answer = asked(folder, choose.Question(own=["loop"]))
    assert answer["recommendation"]["take"] in [library.name for library in loops]
    assert "how fast it is was not measured" in choose.told(answer)
    assert not answer["advice"]


def test_runs_of_other_code_are_no_seeds_of_a_library_and_are_told(tmp_path):
    """A leap of the figures since an edit is no spread over seeds."""
    before = [known(made | {"valid.macro_f1": 0.1}, code="a" * 12) for made in world(0, libraries=LIBRARIES[:1])]
    now = [known(made, ended="2026-02-01T00:00:00+00:00") for made in world(0)]
    evidence = choose.gather(choose.Question(results=[write(tmp_path, [*before, *now])]), NAMES)
    assert {len(figures["quality"].values) for figures in evidence.figures.values()} == {3}
    assert min(evidence.figures[LIBRARIES[0].name]["quality"].values) > 0.4
    (told,) = [note for note in evidence.notes if note.startswith("left apart")]
    assert f"{LIBRARIES[0].name}, 3 runs: code aaaaaaaaaaaa" in told


def test_a_criterion_of_the_answer_has_all_that_a_check_has():
    assert list(Criterion.__annotations__) == [one.name for one in fields(Check)]
