"""A run's folder that somebody sent is data: nothing in it says what is run, and nothing of it is unpickled."""

import ast
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support import ROOT

from harness.base import home
from harness.base.errors import UserError
from harness.machine import shares
from harness.runs import launch
from harness.use import predict, saved
from recipes.contract import seals


@pytest.fixture
def sent(tmp_path):
    """Write a finished run's folder as somebody may send it; keys of its files by keyword."""

    def write(**changes):
        folder = tmp_path / "outputs" / "jobs" / "tfidf-native-seed0-1"
        (folder / "model").mkdir(parents=True)
        files = {
            "result.json": {
                "status": "finished", "threads": 1, "precision": None, "test.accuracy": 1.0, "test.macro_f1": 1.0,
            },
            "job.json": {"recipe": "tfidf", "labels": ["a", "b"], "splits": {"test": {"data": "/nowhere"}}},
            "config.yaml": {
                "recipe": {"name": "tfidf", "environment": "tfidf"}, "data": {}, "env": "managed", "threads": None,
                "evaluate": ["valid", "test"],
            },
            "data_report.json": {"tokens": None},
        }  # fmt: skip
        for name, values in files.items():
            values |= changes.get(name.partition(".")[0], {})
            (folder / name).write_text(json.dumps(values), encoding="utf-8")
        return folder

    return write


def script(name, folder, *words):
    command = [sys.executable, str(ROOT / "scripts" / f"{name}.py"), str(folder), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def planted(tmp_path):
    """A program that answers as a Python does, and leaves a file behind."""
    program = tmp_path / "bin" / "python"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/was-run\necho '{{}}'\n", encoding="utf-8")
    program.chmod(0o755)
    return program


def test_an_interpreter_that_the_folder_names_is_not_run(sent, planted, tmp_path):
    folder = sent(config={"env": str(planted)})
    done = script("predict", folder, "night nurse")
    assert done.returncode == 2
    assert f"say which to take, --env {planted}, or --env managed" in done.stderr
    assert not (tmp_path / "was-run").exists()
    script("predict", folder, "night nurse", "--env", str(planted))
    assert (tmp_path / "was-run").exists(), "the command line's is"


def test_by_default_a_run_is_run_where_it_was_trained_and_elsewhere_where_one_says_so(sent):
    run = saved.find(str(sent()), Path("outputs"))
    assert saved.runnable(run, None).env == "managed"
    assert saved.runnable(run, "current").env == "current"


@pytest.mark.parametrize(
    "name", ["../x", "..evil", "worker", "fairseq_user.text_classification", "os", "", "tfidf/../x"]
)
def test_a_recipe_that_is_none_of_this_checkout_is_not_imported(sent, name):
    run = saved.find(str(sent(job={"recipe": name})), Path("outputs"))
    with pytest.raises(UserError, match="there is no recipe .* here; there are crf, fairseq, "):
        saved.runnable(run, None)


@pytest.mark.parametrize("name", ["../../tmp/list", "flair", "core", "/tmp/list"])
def test_a_list_of_packages_that_is_not_the_recipe_s_is_not_installed(sent, name):
    run = saved.find(str(sent(config={"recipe": {"name": "tfidf", "environment": name}})), Path("outputs"))
    with pytest.raises(UserError, match="is no environment of recipe=tfidf here; there are tfidf"):
        saved.runnable(run, "managed")


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("job.json", "{"),
        ("job.json", "[]"),
        ("job.json", "{}"),
        ("result.json", "7"),
        ("result.json", '{"status": "finished"}'),
        ("config.yaml", "!!python/object/apply:os.system ['touch was-run']"),
        ("config.yaml", "a: ["),
        ("config.yaml", "recipe: 1"),
        ("data_report.json", '{"tokens": {"max_length": "x"}}'),
        ("data_report.json", "\xff"),
        ("data_report.json", None),
    ],
)
@pytest.mark.parametrize("name", ["predict", "export"])
def test_a_folder_that_is_damaged_is_told_in_words(sent, name, file, text):
    folder = sent()
    if text is None:
        (folder / file).unlink()
    else:
        (folder / file).write_text(text, encoding="latin-1")
    done = script(name, folder, *(["--format", "onnx"] if name == "export" else ["night nurse"]))
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
    assert str(folder) in done.stderr


READERS = {
    "torch.load", "pickle.load", "joblib.load", "load_model", "keras.saving.load_model", "TextClassifier.load",
    "checkpoint_utils.load_model_ensemble_and_task",
}  # fmt: skip


@pytest.mark.parametrize("path", sorted((ROOT / "recipes").rglob("*.py")), ids=lambda path: path.stem)
def test_a_recipe_reads_pickles_of_a_checkpoint_alone(path):
    """What `newest` returns: its seal has been checked. `weights_only` reads no pickles but of plain tensors."""
    for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(call, ast.Call) and ast.unparse(call.func) in READERS:
            written = ast.unparse(call)
            assert "self.newest" in written or "weights_only=True" in written, f"{path}, line {call.lineno}"


def test_labels_that_are_not_the_model_s_are_told(sent, tmp_path):
    predictor = predict.Predictor(saved.find(str(sent()), Path("outputs")), tmp_path, None)
    (tmp_path / "chunks" / "0").mkdir(parents=True)
    np.save(tmp_path / "chunks" / "0.npy", np.zeros((1, 25), np.float32))
    with pytest.raises(UserError, match="the model has 25 classes, and its job.json names 2 labels"):
        predictor.take(0)


def worker_environment(tmp_path, action):
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\nenv > {tmp_path}/environment\n", encoding="utf-8")
    program.chmod(0o755)
    with launch.worker(tmp_path, program, action, threads=1) as process:
        process.wait()
    lines = (tmp_path / "environment").read_text(encoding="utf-8").splitlines()
    return dict(line.partition("=")[::2] for line in lines)


def test_the_worker_that_trains_is_told_where_the_key_is_and_one_that_predicts_is_not(tmp_path, monkeypatch):
    monkeypatch.setenv("FINETUNE_RECIPES_HOME", str(tmp_path / "home"))
    monkeypatch.delenv(seals.KEY, raising=False)
    assert worker_environment(tmp_path, "finetune")[seals.KEY] == str(home.key())
    assert seals.KEY not in worker_environment(tmp_path, "predict")


def test_the_key_is_made_once_for_the_user_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("FINETUNE_RECIPES_HOME", str(tmp_path / "home"))
    path = home.key()
    secret = path.read_bytes()
    assert len(secret) == 32
    assert len(set(secret)) > 10
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o644)
    assert home.key().read_bytes() == secret
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.rename(tmp_path / "key")
    path.symlink_to(tmp_path / "key")
    with pytest.raises(UserError, match="is not yours"):
        home.key()


KEYS = "from harness.base.home import key; print(key().read_bytes().hex())"


def test_of_many_that_ask_for_the_key_at_once_all_have_the_same(tmp_path):
    environment = {**os.environ, "FINETUNE_RECIPES_HOME": str(tmp_path)}
    command = [sys.executable, "-c", KEYS]
    started = [
        subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(8)
    ]
    keys = {process.communicate(timeout=60)[0] for process in started}
    assert len(keys) == 1
    assert len(keys.pop().strip()) == 64


def test_a_folder_for_locks_that_somebody_else_has_put_there_is_not_used(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    place = tmp_path / f"finetune-recipes-{os.getuid()}"
    (tmp_path / "elsewhere").mkdir()
    place.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="is not yours"), shares.hold(1):
        pass
    assert list((tmp_path / "elsewhere").iterdir()) == []
    place.unlink()
    with shares.hold(1):
        assert stat.S_IMODE(place.stat().st_mode) == 0o700


@pytest.mark.skipif(os.getuid() != 0, reason="giving a folder away needs root")
def test_a_folder_of_another_user_is_not_used(tmp_path, monkeypatch):
    (tmp_path / "shares").mkdir()
    os.chown(tmp_path / "shares", 12345, 12345)
    with pytest.raises(UserError, match="is not yours"):
        home.private(tmp_path / "shares")
    os.chown(tmp_path, 12345, 12345)
    assert home.private(tmp_path / "shares"), "whose the folder above is may do anything there"
