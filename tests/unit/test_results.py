"""Results are found in both forms, chosen by keys, and grouped with what they may be compared with."""

from pathlib import Path

import numpy as np
import pytest
from results_support import row, several, write

from harness.base.errors import UserError
from harness.results import reading

LABELS = np.array([0, 1, 2, 1])
PREDICTED = np.array([0, 1, 1, 2])


@pytest.mark.parametrize("small", [False, True], ids=["a run's folder", "the small form"])
def test_both_forms_are_read_alike(tmp_path, small):
    write(tmp_path, row("torch", 3), small, test=(LABELS, PREDICTED))
    (one,) = reading.read(tmp_path)
    labels, predicted = one.predictions()
    assert (labels.tolist(), predicted.tolist()) == (LABELS.tolist(), PREDICTED.tolist())
    assert one.curve == [(1, 3.0), (10, 0.3), (20, 0.15)]
    assert list(one.latencies) == [1]
    assert one.latencies[1].shape == (200,)
    assert (one.finished, one.tested, one.timed, one.name) == (True, True, True, "torch")


def test_what_is_hidden_or_lies_deeper_is_no_result(tmp_path):
    folder = write(tmp_path, row("torch", 0))
    write(tmp_path / "reference", row("torch", 1))
    folder.rename(folder.with_name(f".{folder.name}.working"))
    assert reading.read(tmp_path) == []
    assert len(reading.read(tmp_path / "reference")) == 1
    with pytest.raises(UserError, match="no such folder"):
        reading.read(tmp_path / "nowhere")
    (tmp_path / "reference" / "result.json").write_text('{"schema": 1', encoding="utf-8")
    with pytest.raises(UserError, match="not the row of a run"):
        reading.read(tmp_path / "reference")


def test_results_are_chosen_by_keys_of_row_and_command_and_a_name_that_is_not_there_is_told(tmp_path):
    several(tmp_path, {"torch": 0.5, "flair": 0.5}, seeds=range(3), rows=20)
    write(tmp_path, row("torch", 0, words=["recipe.learning_rate=1e-3"]))
    everything = reading.read(tmp_path)

    def chosen(*words: str) -> list[tuple[str, int]]:
        return [(one.row["recipe"], one.row["seed"]) for one in reading.filtered(everything, words)]

    assert chosen("recipe=flair", "seed=0,2") == [("flair", 0), ("flair", 2)]
    assert chosen("recipe.learning_rate=1e-3") == [("torch", 0)]
    assert len(chosen(f"machine={everything[0].row['machine']}")) == 7
    for word, said in (
        ("recpe=torch", "a key 'recpe'. Did you mean 'recipe'"),
        ("recipe=torhc", "Did you mean 'torch'"),
        ("torch", "key=value"),
    ):
        with pytest.raises(UserError, match=said):
            chosen(word)


def test_groups_share_what_a_comparison_needs_and_the_baseline_joins_each(tmp_path):
    rows = [
        row("torch", 0), row("flair", 0), row("tfidf", 0), row("torch", 0, precision="bf16"),
        row("torch", 0, protocol="controlled"), row("flair", 0, machine="another"), row("torch", 0, threads=1),
        row("flair", 0, data_digest="e" * 64), row("torch", 0, words=["model.dropout=0.1"]),
        row("flair", 1, train__batch_size=32, train__accumulate=2),  # halved when memory ran out: the same steps
        row("torch", 0, words=["recipe.learning_rate=1e-3"]),
    ]  # fmt: skip
    groups = reading.grouped(reading.Result(one, Path()) for one in rows)
    names = sorted([one.name for one in members] for members in groups.values())
    whole = ["torch", "flair", "flair", "torch learning_rate=1e-3", "tfidf"]
    assert sorted([whole, ["torch", "tfidf"], ["torch", "tfidf"], ["torch"], ["torch"], ["flair"], ["flair"]]) == names
    alone = reading.grouped([reading.Result(row("tfidf", 0), Path())])
    assert len(alone) == 1


def test_weights_that_each_run_s_seed_draws_are_the_same_of_all_seeds():
    def drawn(seed: int, by: int, words: str, origin: str) -> dict:
        return row("torch", seed, words=[words], weights_digest=f"{by}" * 64, weights_drawn=origin)

    rows = [
        *(drawn(seed, seed, "model.from_scratch=seed", "a") for seed in range(3)),
        drawn(3, 3, "model=small", "a"),
        drawn(0, 0, "model=small", "b"),
        *(drawn(seed, 1, "model.from_scratch=1", "a") for seed in range(2)),
        row("torch", 0, words=["model.from_scratch=null"]), row("torch", 1),
    ]  # fmt: skip
    groups = reading.grouped(reading.Result(one, Path()) for one in rows)
    seeds = [[one.row["seed"] for one in members] for members in groups.values()]
    assert seeds == [[0, 1, 2, 3], [0], [0, 1], [0, 1]]


def test_the_pareto_front_is_what_no_other_beats():
    draw = np.random.default_rng(0)
    points = draw.integers(0, 6, (60, 3)).astype(float)
    points[7, 1] = np.nan
    beaten = [
        any((other <= one).all() and (other < one).any() for other in points if not np.isnan(other).any())
        for one in points
    ]
    expected = [place for place, one in enumerate(points) if not np.isnan(one).any() and not beaten[place]]
    assert reading.pareto_front(points) == expected
    assert reading.pareto_front([]) == []


def test_rows_that_say_no_task_are_of_classification_and_two_tasks_are_never_one_group(tmp_path):
    write(tmp_path, row("torch", 0))
    write(tmp_path, row("torch", 1, task="multilabel"))
    found = reading.read(tmp_path)
    assert [one.task for one in found] == ["classification", "multilabel"]
    assert [one.row["seed"] for one in reading.filtered(found, ["task=classification"])] == [0]
    titles = [group.title for group in reading.grouped(found)]
    assert len(titles) == 2
    assert ["multilabel" in title for title in titles] == [False, True]
    baseline = reading.Result(row("tfidf", 0, task="multilabel"), Path())
    joined = reading.grouped([*found, baseline])
    assert [baseline in members for members in joined.values()] == [False, True]


def test_a_task_of_a_later_version_is_told(tmp_path):
    write(tmp_path, row("torch", 0, task="translation"))
    with pytest.raises(UserError, match="of task=translation, which this version does not know"):
        reading.read(tmp_path)
