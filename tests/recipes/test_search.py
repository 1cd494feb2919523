"""hparams_search=: real searches, with the test split taken away, and with a kill in the middle."""

import json
import os
import shlex
import shutil
import subprocess
import sys
import time

import optuna
import pytest
import yaml
from hydra import compose, initialize_config_dir
from support import ROOT, SMALL, Runs, gone, script, workers

from harness import config
from harness.base import home
from harness.use import run

TRIED = ["recipe.C=tag(log,interval(1,100))", "recipe.word_ngrams=[1,1],[1,2]"]


def trials(runs):
    """Return what each trial of the one study tried, and its figure; all are complete."""
    (path,) = runs.outputs.glob(".searches/*/study.db")
    study = optuna.load_study(study_name=None, storage=f"sqlite:///{path}")
    assert {trial.state.name for trial in study.trials} == {"COMPLETE"}
    assert [trial.number for trial in study.trials] == list(range(len(study.trials)))
    return [(trial.params, trial.value) for trial in study.trials]


def rows(runs):
    return {folder: json.loads((folder / "result.json").read_text(encoding="utf-8")) for folder in runs.folders()}


@pytest.fixture
def caches(tmp_path):
    """Make a home with data of its own; environments and packages are those of all."""
    place = tmp_path / "home"
    place.mkdir()
    for name in ("environments", "packages", "uv"):
        (home.home() / name).mkdir(parents=True, exist_ok=True)
        (place / name).symlink_to(home.home() / name)
    return place


def test_a_search_does_not_look_at_the_test_split(tmp_path, caches):
    """With the test split gone, it finds and chooses the same; the command that it ends with needs it."""
    words = ["recipe=tfidf", "recipe.char_ngrams=[2,4]", "hparams_search=tpe", "hparams_search.trials=2", *TRIED]
    runs, blind = Runs(tmp_path / "seeing"), Runs(tmp_path / "blind")
    said = runs.run(*words, FINETUNE_RECIPES_HOME=str(caches))
    (test,) = caches.glob("data/*/test")
    test.rename(tmp_path / "taken away")
    said_blind = blind.run(*words, FINETUNE_RECIPES_HOME=str(caches))
    assert trials(blind) == trials(runs)
    assert len(trials(blind)) == 2

    for folder, row in rows(blind).items():
        assert not [key for key in row if "test" in key]
        assert not list(folder.glob("*test*"))
        assert json.loads((folder / "job.json").read_text(encoding="utf-8"))["splits"].keys() == {"train", "valid"}
        assert row["reload.max_difference"] == 0
        settings = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))["recipe"]
        tried = {"recipe.C": settings["C"], "recipe.word_ngrams": str(settings["word_ngrams"]).replace(" ", "")}
        assert (tried, row["valid.macro_f1"]) in trials(blind)

    in_full = [text.splitlines()[-1].partition("in full   ")[2] for text in (said_blind, said)]
    assert in_full[0].replace("/blind", "/seeing") == in_full[1]
    command = script(*shlex.split(in_full[1])[1:])
    environment = {**os.environ, "FINETUNE_RECIPES_HOME": str(caches)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT, check=False)
    assert done.returncode == 1
    assert f"No such file or directory: '{test}" in done.stdout, "it is the test split that is missing"
    shutil.move(tmp_path / "taken away", test)
    subprocess.run(command, env=environment, cwd=ROOT, check=True)
    (row,) = [row for row in rows(runs).values() if "test.macro_f1" in row]
    assert row["valid.macro_f1"] == max(value for _, value in trials(runs))


def test_a_search_killed_in_a_trial_ends_as_if_it_had_not_been(tmp_path):
    """Undisturbed in one place; killed in the second trial, and started again, in another."""
    words = ["recipe=tfidf", "data.train_size=1000", "hparams_search=random", "hparams_search.trials=2"]
    whole, broken = Runs(tmp_path / "whole"), Runs(tmp_path / "broken")
    whole.run(*words)
    process = broken.start(*words)
    while not broken.folders() and process.poll() is None:
        time.sleep(0.05)
    broken.wait_for("train", process)
    process.kill()
    assert gone(tmp_path)
    (first,) = rows(broken)
    before = (first / "result.json").stat().st_mtime_ns
    assert "2 trials, of which 2 are there" in broken.run(*words)
    assert trials(broken) == trials(whole)
    assert len(rows(broken)) == 2
    assert (first / "result.json").stat().st_mtime_ns == before
    assert {row["valid.macro_f1"] for row in rows(broken).values()} == {value for _, value in trials(whole)}

    bare = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "FINETUNE_RECIPES_PYTHON")}
    command = [sys._base_executable, str(ROOT / "train.py"), f"outputs={broken.outputs}", *SMALL, *words]
    said = subprocess.run(command, capture_output=True, text=True, env=bare, check=True).stdout
    assert "trial 0:" not in said, "nothing was left to do"
    assert "in full   " in said


def test_a_run_that_a_search_gives_up_ends_at_once_as_a_row_that_says_so(runs):
    """What the verdict rests on, tests/unit/test_search.py has; here is one after the first step that is reported."""
    words = ["recipe=torch", "train.epochs=50", f"outputs={runs.outputs}", *SMALL[:3], *SMALL[4:]]
    with initialize_config_dir(str(config.CONF), version_base="1.3"):
        values = config.checked(compose("config", [*words, "evaluate=[valid]"]))
    row = run.run(values, "", judge=lambda event: "too high" if event["event"] == "step" else None)
    assert (row["status"], row["reason"]) == ("pruned", "too high")
    assert runs.row() == row
    assert row["train.steps"] < 100
    assert not (runs.folders()[0] / "model").exists()
    assert workers(runs.outputs) == []
