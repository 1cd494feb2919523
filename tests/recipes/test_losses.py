"""The losses of the recipes on PyTorch are those of the task contract, which has them in numpy."""

import json
import subprocess

import numpy as np
import pytest
from support import ROOT

from harness.base import environments
from recipes.contract.tasks import TASKS

ROWS, NAMES = 64, 7
TORCH = """
import sys
from types import SimpleNamespace

import numpy as np
import torch

from recipes.contract.tasks import TASKS
from recipes.hf_trainer.recipe import mean_loss
from recipes.pytorch.batches import collate
from recipes.pytorch.losses import criterion

given = np.load(sys.argv[1])
logits = torch.from_numpy(given["logits"])
for task in sys.argv[2:]:
    rows = [{"input_ids": np.arange(3, dtype=np.int32), "label": label} for label in given[task]]
    labels, loss_of = collate(rows, 0)["labels"], criterion(SimpleNamespace(task=TASKS[task]))
    each = loss_of(logits, labels, reduction="none").reshape(len(labels), -1).mean(1)
    parts = [mean_loss(loss_of, logits[rows], labels[rows], torch.tensor(labels.numel())).item()
             for rows in (slice(0, 24), slice(24, None))]
    print([each.tolist(), sum(parts)])
"""


def test_a_text_s_loss_and_the_mean_over_a_step_of_two_batches_are_the_task_s_own(tmp_path):
    generator = np.random.default_rng(0)
    logits = generator.normal(0, 20, (ROWS, NAMES)).astype(np.float32)  # far beyond where exp() alone would do
    labels = {
        "classification": generator.integers(0, NAMES, ROWS, np.int32),
        "multilabel": generator.integers(0, 2, (ROWS, NAMES), np.uint8),
    }
    np.savez(tmp_path / "given.npz", logits=logits, **labels)
    command = [environments.ensure("hf_trainer").python, "-c", TORCH, tmp_path / "given.npz", *labels]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for task, line in zip(labels, done.stdout.splitlines(), strict=True):
        each, mean = json.loads(line)
        reference = TASKS[task].loss(logits, labels[task])
        np.testing.assert_allclose(each, reference.each, rtol=1e-5, atol=1e-6, err_msg=task)
        assert mean == pytest.approx(reference.mean, rel=1e-6), task
