"""FINETUNE_RECIPES_ENVIRONMENTS: environments that somebody else built are used, and none is built."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from environments_support import hollow, write_lists
from support import ROOT

from harness.base import environments
from harness.base.errors import UserError


@pytest.fixture
def given(tmp_path, monkeypatch):
    """A folder with `tool`, a real environment, and nothing else."""
    write_lists(tmp_path, monkeypatch, dict.fromkeys(("tool", "other"), ("six", "six==1.17.0")))
    built = environments.ensure("tool").python
    folder = tmp_path / "given"
    folder.mkdir()
    (folder / "tool").symlink_to(built.parent.parent)
    monkeypatch.setenv(environments.GIVEN, str(folder))
    environments.interpreter.asked_once.cache_clear()
    return folder


def test_what_is_there_is_used_with_the_packages_that_are_found_in_it(given):
    found = environments.ensure("tool")
    assert found == environments.Environment("tool", given / "tool" / "bin" / "python", {"six": "1.17.0"}, None)
    assert environments.of("tool", "managed") == found


def test_on_a_gpu_that_for_gpus_is_used_where_somebody_built_one(given):
    assert environments.for_gpu("tool") == "tool"
    (given / "tool_cuda").symlink_to(given / "tool")
    assert environments.for_gpu("tool") == "tool_cuda"


def test_its_identity_is_its_path_and_what_is_in_it(given):
    before = environments.identity("tool", "managed")
    assert before == environments.identity("tool", str(given / "tool" / "bin" / "python"))
    (site,) = environments.sites(given / "tool")
    (site / "six-1.17.0.dist-info").rename(site / "six-1.18.0.dist-info")
    metadata = site / "six-1.18.0.dist-info" / "METADATA"
    text = metadata.read_text(encoding="utf-8")
    metadata.unlink()  # a link, it may be, to the file of all environments
    metadata.write_text(text.replace("Version: 1.17.0", "Version: 1.18.0"), encoding="utf-8")
    environments.interpreter.asked_once.cache_clear()
    assert environments.identity("tool", "managed") != before


def test_one_that_is_missing_is_told_with_its_path_and_nothing_is_built(given):
    with pytest.raises(UserError) as error:
        environments.ensure("other")
    assert f"{environments.GIVEN}={given}: there is no {given}/other/bin/python. It has tool.\n" in str(error.value)
    assert "configs/environments/other.txt" in str(error.value)
    assert len(environments.built()) == 1
    assert environments.identity("other", "managed") == f"{given}/other/bin/python"


def test_a_folder_that_is_not_there_or_has_nothing_is_told(given, monkeypatch, tmp_path):
    monkeypatch.setenv(environments.GIVEN, str(tmp_path / "none"))
    with pytest.raises(UserError, match=f"{environments.GIVEN}={tmp_path}/none: there is no such folder.*unset"):
        environments.ensure("tool")
    (tmp_path / "none").mkdir()
    with pytest.raises(UserError, match="It has no environment"):
        environments.ensure("tool")


def test_one_that_lacks_what_is_asked_for_is_told(given):
    (environments.LISTS / "tool.in").write_text("six\nmissing ; python_version < '3'\nLack.ing\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"given/tool/bin/python lacks Lack\.ing\.\n.*configs/environments/tool\.txt"):
        environments.ensure("tool")


@pytest.mark.parametrize("kind", ["environment", "script"])
def test_a_bare_python_starts_again_in_a_core_that_somebody_else_built(kind, tmp_path):
    if kind == "environment":
        (tmp_path / "core").symlink_to(Path(sys.prefix))
    else:
        program = tmp_path / "core" / "bin" / "python"
        program.parent.mkdir(parents=True)
        program.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n', encoding="utf-8")
        program.chmod(0o755)
    bare = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "FINETUNE_RECIPES_PYTHON")}
    bare |= {environments.GIVEN: str(tmp_path), "FINETUNE_RECIPES_HOME": str(tmp_path / "home")}
    command = [sys._base_executable, str(ROOT / "train.py"), "--cfg", "job", "--package", "seed"]
    done = subprocess.run(command, capture_output=True, text=True, env=bare, check=False)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "home" / "environments").exists()
    listed = [sys._base_executable, str(ROOT / "scripts" / "environments.py")]
    said = subprocess.run(listed, capture_output=True, text=True, env=bare, check=True).stdout
    assert f"{tmp_path}/core/bin/python\n" in said
    assert f"there is no {tmp_path}/tfidf/bin/python" in " ".join(said.split())


@pytest.fixture
def command(tmp_path):
    """The command line where somebody else built the core alone, with a home in which nothing is built."""
    (tmp_path / "given").mkdir()
    (tmp_path / "given" / "core").symlink_to(Path(sys.prefix))
    variables = {environments.GIVEN: str(tmp_path / "given"), "FINETUNE_RECIPES_HOME": str(tmp_path / "home")}
    table = "text,label\n" + "".join(f"{one} of number {n},{one}\n" for n in range(40) for one in ("nurse", "welder"))
    (tmp_path / "texts.csv").write_text(table, encoding="utf-8")
    words = ["data=csv", f"data.train={tmp_path}/texts.csv", "data.text=text", "data.label=label"]

    def run(script, *given):
        own = [*words, f"outputs={tmp_path}/outputs"] if script == "train.py" else []
        done = subprocess.run(
            [sys.executable, str(ROOT / script), *own, *given],
            capture_output=True, text=True, env={**os.environ, **variables}, check=False,
        )  # fmt: skip
        assert not (tmp_path / "home" / "environments").exists(), "nothing is built"
        return done.returncode, done.stdout + done.stderr

    return run


def missing(tmp_path, name):
    there = f"there is no {tmp_path}/given/{name}/bin/python. It has core."
    return f"{there} Make the environment {name} there, of what configs/environments/{name}.txt pins"


def test_a_run_whose_environment_is_missing_is_refused_and_says_where_it_is_to_be(command, tmp_path):
    code, said = command("train.py", "recipe=tfidf")
    assert code == 1
    assert missing(tmp_path, "tfidf") in " ".join(said.split())
    assert not (tmp_path / "outputs").exists(), "nothing was started"


def test_env_stands_above_the_folder(command, tmp_path):
    code, said = command("train.py", "recipe=tfidf", f"env={sys.executable}")
    assert code == 1, "this Python is for tests: it lacks a package of the recipe's"
    assert f"env={sys.executable}: {sys.executable} lacks skops." in said
    assert "what configs/environments/tfidf.txt pins, or take env=managed" in said
    assert "given/tfidf" not in said


@pytest.mark.parametrize(
    ("script", "words", "name"),
    [
        ("train.py", ["recipe=tfidf", "logger=mlflow"], "mlflow"),
        ("train.py", ["recipe=tfidf", "hydra/launcher=ray", "-m"], "core_ray"),
        ("train.py", ["recipe=tfidf", "hparams_search=tpe"], "core_optuna"),
        ("scripts/compare.py", ["--out", "page.html"], "core_matplotlib"),
        ("scripts/watch.py", ["tensorboard", "--outputs", "."], "tensorboard"),
    ],
)
def test_what_else_has_an_environment_of_its_own_is_looked_for_there_too(command, tmp_path, script, words, name):
    env = [f"env={hollow(tmp_path / 'hollow', 'tfidf')}"] if name == "mlflow" else []
    code, said = command(script, *words, *env)
    assert code == 1
    assert missing(tmp_path, name) in " ".join(said.split())
