"""The ways of the recipes on PyTorch: compile=step, compile=model and batches=packed compute what the plain loop does.

What only a GPU has, recording and replaying, is done by a stand-in here, on processors: Again. All else is real: the
recipe, its batches in few shapes, what is copied to where a graph reads it, the optimizer with its rate as a tensor.
"""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from support import ROOT, THOROUGH, Forked, Runs, hold

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


@pytest.mark.parametrize("tagged", [False, True], ids=["texts", "tags"])
@pytest.mark.parametrize("batches", ["padded", "packed"])
def test_the_steps_of_a_graph_are_those_of_the_plain_loop(batches, tagged, tmp_path, data_of):
    """The last batch is not full: it is filled up with rows of no weight."""
    runs, words = Runs(tmp_path / "runs"), ["recipe=torch", "model.dropout=0", "train.accumulate=2"]
    words += [*data_of("tagging"), "data.train_size=100"] if tagged else ["data.train_size=147"]
    runs.run(*WORDS, *words, small=False)
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
    assert 2 <= recorded < 10, "the update's, and one for each shape"
    assert len(losses(again)) == len(losses(plain)) == (8 if tagged else 10)
    np.testing.assert_allclose(losses(again), losses(plain), rtol=1e-5)


NESTED = """
import torch
from recipes.pytorch.packing import attention, nested

begins = torch.tensor([0, 5, 6, 18], dtype=torch.int32)
texts = torch.repeat_interleave(torch.arange(3), begins.diff())[None]
packed = torch.randn(3, 1, 4, 18, 8, generator=torch.Generator().manual_seed(0))  # heads before tokens
found = []
for way in ("masked", "nested"):
    given = packed.clone().requires_grad_()
    if way == "masked":
        attended = attention(None, *given, None, scaling=0.3, seq_idx=texts)[0][0]
    else:
        attended = nested(*(one[0].transpose(0, 1) for one in given), begins, 12, 0.0, 0.3)
    attended.sin().sum().backward()
    found.append((attended.detach(), given.grad))
torch.testing.assert_close(*found)
"""


def test_attention_within_texts_is_the_same_by_nested_tensors_as_by_a_mask():
    """With dropout a GPU takes nested tensors; here they are computed by other kernels, of the same meaning."""
    command = [environments.ensure("hf_trainer").python, "-c", NESTED]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("recipe", "tagged"), [("recipe=torch", False), ("recipe=hf_trainer", False), ("recipe=torch", True)]
)
def test_packed_texts_of_roberta_s_architecture_have_their_own_positions(
    recipe, tagged, small_network, tmp_path, references, data_of
):
    """The first token of each is pooled, or each tagged; dropout would be drawn otherwise, so there is none."""
    words = ["model=path", f"model.path={small_network('camembert')}", "model.pooling=cls", "batches=packed"]
    words += data_of("tagging") if tagged else []
    hold(Forked(tmp_path, words, references).lines([recipe], repeated=False))


@pytest.mark.parametrize(
    "recipe", ["torch", *(pytest.param(name, marks=THOROUGH) for name in ("hf_trainer", "fastai", "flair"))]
)
def test_a_compiled_model_computes_the_same(recipe, small_network, tmp_path, references):
    words = ["model=path", f"model.path={small_network('camembert')}", "compile=model"]
    hold(Forked(tmp_path, words, references).lines([f"recipe={recipe}"], repeated=False))
