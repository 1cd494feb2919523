"""What is made once is made whole, by one process, and an interrupted build leaves nothing half-made."""

import os
import signal
import subprocess
import sys

import pytest
from support import ROOT

from harness.base.home import build_beside, home

BUILD = """
import sys, time
from pathlib import Path
from harness.base.home import build_beside
with build_beside(Path(sys.argv[1]), "a test") as folder:
    if folder:
        (folder / "half").touch()
        print("building", flush=True)
        time.sleep(float(sys.argv[2]))
        (folder / "whole").touch()
"""


def start(path, seconds):
    command = [sys.executable, "-c", BUILD, str(path), str(seconds)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_of_two_that_build_at_once_one_waits_and_uses_the_other_s(tmp_path):
    first = start(tmp_path / "made", 1)
    assert first.stdout.readline() == "building\n"
    second = start(tmp_path / "made", 1)
    out, err = second.communicate(timeout=30)
    assert out == ""
    assert "waiting: another process is at a test" in err
    assert first.wait(30) == second.returncode == 0
    assert sorted(os.listdir(tmp_path / "made")) == ["half", "whole"]


def test_a_killed_build_leaves_nothing_and_the_next_one_clears_up(tmp_path):
    killed = start(tmp_path / "made", 600)
    killed.stdout.readline()
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert not (tmp_path / "made").exists()
    assert start(tmp_path / "made", 0).wait(30) == 0
    assert (tmp_path / "made" / "whole").exists()
    assert not list(tmp_path.glob(".made.building-*"))


def test_a_build_that_fails_leaves_nothing(tmp_path):
    with pytest.raises(ZeroDivisionError), build_beside(tmp_path / "made", "a test"):
        raise ZeroDivisionError
    assert [path.name for path in tmp_path.iterdir()] == [".made.lock"]


def test_home_is_where_the_variable_says_or_in_the_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("FINETUNE_RECIPES_HOME", str(tmp_path))
    assert home() == tmp_path
    monkeypatch.delenv("FINETUNE_RECIPES_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert home() == tmp_path / "cache" / "finetune-recipes"
