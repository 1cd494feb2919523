"""Fixtures: the real command line, with its results in a temporary folder."""

import os
import signal
import subprocess
import sys

import pytest
from support import ROOT, Runs, workers

from harness.base.errors import answered

# Started in the background by a shell, we have Ctrl-C ignored, and so would all that we start.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def cli(tmp_path):
    """Run `python train.py WORDS` with its results in tmp_path; extra variables by keyword."""

    def run(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(ROOT / "train.py"), f"outputs={tmp_path / 'outputs'}", *words]
        environment = {**os.environ, **variables}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, check=False)
        assert "Traceback" not in done.stderr, done.stderr
        return done

    return run


@pytest.fixture
def runs(tmp_path):
    runs = Runs(tmp_path / "outputs")
    yield runs
    for worker in workers(tmp_path):
        os.killpg(worker.pid, signal.SIGKILL)


@pytest.fixture
def compare(tmp_path, monkeypatch, capsys):
    """Run `scripts/compare.py WORDS` on the results in tmp_path/outputs; return what it said."""
    from scripts import compare as script

    def run(*words: str, code: int = 0) -> str:
        monkeypatch.setattr(sys, "argv", ["compare.py", "--outputs", str(tmp_path / "outputs"), *words])
        found = answered(lambda: script.main(script.parsed()))
        said = "".join(capsys.readouterr())
        assert found == code, said
        return said

    return run
