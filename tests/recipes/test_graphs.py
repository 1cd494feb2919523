"""`compile=step`: the path of a step's CUDA graphs gives the losses of the plain loop.

What only a GPU has, recording and replaying, is done by a stand-in here, on processors: Again. All else is real: the
recipe, its batches in few shapes, what is copied to where a graph reads it, the optimizer with its rate as a tensor.
"""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from support import ROOT, Runs

from harness.base import environments
from harness.use.parity import WORDS

STAND_IN = """
import sys
from dataclasses import replace
from pathlib import Path

from recipes.contract import frameworks
from recipes.contract.job import Job
from recipes.pytorch import graphs
from recipes.torch import controlled


class Again:
    '''STANDS IN for a CUDA graph: records nothing, and computes the function again from what the graph would read.'''

    made = []

    def __init__(self, function):
        self.function = function
        Again.made.append(self)

    def replay(self):
        return self.function()


graphs.CudaGraph = Again
job = replace(Job.read(Path(sys.argv[1])), compile="step", packed=sys.argv[2] == "packed")
controlled.finetune(job)
print(len(Again.made), len(frameworks.main().compilations()))
"""


def losses(folder: Path) -> list[float]:
    lines = (folder / "events.jsonl").read_text(encoding="utf-8").splitlines()
    return [event["loss"] for event in map(json.loads, lines) if event["event"] == "step"]


@pytest.mark.parametrize("batches", ["padded", "packed"])
def test_the_steps_of_a_graph_are_those_of_the_plain_loop(batches, tmp_path):
    """The last batch is not full: it is filled up with rows of no weight."""
    runs = Runs(tmp_path / "runs")
    runs.run(*WORDS, "recipe=torch", "model.dropout=0", "data.train_size=147", "train.accumulate=2", small=False)
    (plain,) = runs.folders()
    again = tmp_path / "again"
    again.mkdir()
    for name in ("job.json", "head.npz", "order.npy"):
        shutil.copy(plain / name, again)
    command = [environments.ensure("hf_trainer").python, "-c", STAND_IN, again / "job.json", batches]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    recorded, told = map(int, done.stdout.split())
    assert recorded == told
    assert 2 < recorded < 20 if batches == "padded" else recorded > 2, "the update's, and one for each shape"
    assert len(losses(again)) == len(losses(plain)) == 10
    np.testing.assert_allclose(losses(again), losses(plain), rtol=1e-5)
