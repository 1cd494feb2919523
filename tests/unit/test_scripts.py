"""The scripts' command lines: options and words in any order, and names that do not exist."""

import subprocess
import sys

import pytest
from support import ROOT


@pytest.mark.parametrize(
    "words",
    [
        ["benchmark.py", "harness", "--pairs", "3", "train.epochs=2", "nosuch"],
        ["benchmark.py", "tutorials", "nosuch", "train.epochs=1", "--pairs", "1"],
        ["parity.py", "nosuch", "--words", "model=camembert"],
    ],
    ids=" ".join,
)
def test_a_recipe_that_is_not_there_is_told(words):
    command = [sys.executable, ROOT / "scripts" / words[0], *words[1:]]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: no recipe with an encoder is named nosuch; there are ")


@pytest.mark.parametrize(
    "script", ["predict.py", "errors.py", "export.py", "push.py", "status.py", "parity.py", "benchmark.py"]
)
def test_help_needs_nothing_heavy(script):
    """A processor's second or two, where it is numpy, scikit-learn or Hydra."""
    command = [sys.executable, "-X", "importtime", ROOT / "scripts" / script, "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "harness.base.bootstrap" in imported
    assert imported.isdisjoint({"numpy", "sklearn", "scipy", "pandas", "pyarrow", "hydra", "omegaconf", "torch"})


def test_a_prediction_needs_no_library_that_scores():
    program = "import sys, harness.use.predict_file, harness.use.saved, harness.figures.metrics; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert {"sklearn", "scipy", "pandas"}.isdisjoint(done.stdout.split())
