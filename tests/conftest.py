"""What all tests share: the repository, the real command line, and a place of one's own for results."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
RECIPES = sorted(path.stem for path in (ROOT / "conf" / "recipe").glob("*.yaml"))


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture
def cli(tmp_path):
    """Run `python train.py WORDS` with its results in tmp_path; extra variables by keyword."""

    def run(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(ROOT / "train.py"), f"outputs={tmp_path / 'outputs'}", *words]
        environment = {**os.environ, "COLUMNS": "200", **variables}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, check=False)
        assert "Traceback" not in done.stderr, done.stderr
        return done

    return run
