"""The choice of a library for a task: results of another task are no evidence, and commands are those that run."""

import shlex
from dataclasses import replace

import pytest
from choose_support import LIBRARIES, asked, world, write
from results_support import row

from harness.base.errors import UserError
from harness.figures.metrics import METRICS, Figure
from harness.results import choose

SPLITS = ("valid", "test")
TAKERS = {library.name for library in LIBRARIES if "multilabel" in library.takes}


def multilabel(folder, seeds=2, **more):
    """Write runs of all that take the task, on data that is of it."""
    recipes = sorted({library.recipe for library in LIBRARIES if library.name in TAKERS})
    figures = {"task": "multilabel", "data": "skillspan", "data_digest": "m" * 64, "valid.micro_f1": 0.7} | more
    return write(folder, [row(recipe, seed, **figures) for recipe in recipes for seed in range(seeds)])


def test_results_of_another_task_do_not_count_and_the_command_measures_what_takes_the_task(tmp_path):
    answer = asked(write(tmp_path, world(0)), choose.Question(task="multilabel"))
    assert "group" not in answer["measured"]
    assert "task=multilabel" in answer["measured"]["notes"][0]
    assert not any(check["runs"] for one in answer["libraries"] for check in one["criteria"])
    (step,) = answer["recommendation"]["steps"]
    words = dict(word.split("=", 1) for word in step["command"].split() if "=" in word)
    assert (words["task"], words["data"]) == ("multilabel", "sectors")
    assert set(words["recipe"].split(",")) <= {library.recipe for library in LIBRARIES if library.name in TAKERS}


def test_of_files_of_one_s_own_the_command_names_them_and_the_columns(tmp_path):
    own = ["data=csv", "data.train=offres.csv", "data.text=titre", "data.label=métiers"]
    answer = asked(multilabel(tmp_path, data="csv", command=f"python train.py {' '.join(own)}"))
    first = next(one for one in answer["libraries"] if one["rank"] == 1)
    assert [word for word in shlex.split(first["command"]) if word.startswith("data")] == own


def test_of_results_of_two_tasks_those_asked_for_count_and_the_others_are_told(tmp_path):
    write(tmp_path, world(0))
    multilabel(tmp_path / "several")
    for task, other, data in (("multilabel", "classification", "skillspan"), (None, "multilabel", "job_titles")):
        folders = [tmp_path, tmp_path / "several"]
        question = choose.Question(task=task, results=folders)
        evidence = choose.gather(question, {library.name for library in LIBRARIES})
        answer = choose.answer(question, LIBRARIES, evidence)
        measured = answer["measured"]
        assert (measured["task"], measured["data"]) == (task or "classification", data)
        assert any(f"--task {other}" in note for note in measured["notes"]) == (task is None)
        for one in answer["libraries"]:
            assert ("task=multilabel" in one["command"]) == (task == "multilabel" and one["name"] in TAKERS)
            assert one["measured"] <= (task is None or one["name"] in TAKERS)


def test_titles_are_those_of_the_task_s_figures(tmp_path):
    answer = asked(multilabel(tmp_path), choose.Question(task="multilabel"))
    titles = {check["name"]: check["title"] for check in answer["libraries"][0]["criteria"]}
    assert (titles["quality"], titles["test"]) == ("valid macro-F1", "test macro-F1")
    assert "of task" not in " ".join(answer["measured"]["notes"])
    task = next(check for check in answer["libraries"][0]["criteria"] if check["name"] == "task")
    assert (task["wanted"], task["holds"]) == ("multilabel", True)


def test_of_a_task_that_no_recipe_takes_nothing_is_to_be_measured(tmp_path):
    answer = asked(write(tmp_path, world(0)), choose.Question(task="translation"))
    assert answer["measured"]["notes"][0].startswith("no recipe here takes task=translation")
    assert answer["recommendation"]["steps"] == []
    assert "task=" not in "".join(one["command"] for one in answer["libraries"])


def test_data_of_another_task_is_refused(tmp_path):
    with pytest.raises(UserError, match="--data job_titles is of classification, --task multilabel is another"):
        asked(write(tmp_path, world(0)), choose.Question(task="multilabel", data="job_titles"))


def test_where_less_is_better_the_lowest_comes_first(tmp_path, monkeypatch):
    figures = {**METRICS["multilabel"].figures, "error": Figure("error", "minimize")}
    monkeypatch.setitem(METRICS, "multilabel", replace(METRICS["multilabel"], primary="error", figures=figures))
    recipes = sorted({library.recipe for library in LIBRARIES if library.name in TAKERS})
    rows = [
        row(recipe, seed, task="multilabel", data="skillspan", **{f"{split}.error": place / 10 for split in SPLITS})
        for place, recipe in enumerate(recipes, 1)
        for seed in range(2)
    ]
    answer = asked(write(tmp_path, rows), choose.Question(task="multilabel"))
    assert answer["front"][0] == "valid error"
    assert answer["recommendation"]["take"] == recipes[0]
    assert any(line.startswith("the lowest valid error of") for line in answer["recommendation"]["why"])
