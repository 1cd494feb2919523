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
