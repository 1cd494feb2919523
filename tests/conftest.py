"""Fixtures: the real command line, with its results in a temporary folder."""

import os
import signal
import subprocess
import sys

import pytest
from support import ROOT, Runs, workers

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
