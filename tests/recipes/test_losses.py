"""The losses of the recipes on PyTorch are those of the task contract, which has them in numpy."""

import json
import subprocess

import numpy as np
import pytest
from support import ROOT

from harness.base import environments
from recipes.contract.tasks import IGNORED, TASKS

ROWS, TOKENS, NAMES = 64, 6, 7
TORCH = """
import sys
from types import SimpleNamespace

import numpy as np
import torch

from recipes.contract.ragged import Ragged
from recipes.contract.tasks import TASKS
from recipes.hf_trainer.recipe import mean_loss
from recipes.pytorch.batches import collate
from recipes.pytorch.losses import criterion

given = np.load(sys.argv[1])
for task in sys.argv[2:]:
    labels, logits = given[task], torch.from_numpy(given[task + "_logits"])
    if task == "tagging":
        labels = Ragged(labels, given["offsets"])
    rows = [{"input_ids": np.arange(n, dtype=np.int32), "label": labels[row]} for row, n in enumerate(given["lengths"])]
    labels, loss_of = collate(rows, 0)["labels"], criterion(SimpleNamespace(task=TASKS[task]))
    each = loss_of(logits, labels, reduction="none").reshape(labels.shape)
    each = each.mean(1) if task == "multilabel" else each
    items = (labels != -100).sum()
    parts = [mean_loss(loss_of, logits[rows], labels[rows], items).item() for rows in (slice(0, 24), slice(24, None))]
    print([each.tolist(), sum(parts)])
"""


def test_an_item_s_loss_and_the_mean_over_a_step_of_two_batches_are_the_task_s_own(tmp_path):
    draw = np.random.default_rng(0)
    lengths = draw.integers(1, TOKENS + 1, ROWS)
    lengths[0] = TOKENS
    offsets = np.cumsum([0, *lengths])
    tags = draw.integers(0, NAMES, lengths.sum(), np.int32)
    labels = {
        "classification": draw.integers(0, NAMES, ROWS, np.int32),
        "multilabel": draw.integers(0, 2, (ROWS, NAMES), np.uint8),
        "tagging": np.where(draw.random(len(tags)) < 0.3, np.int32(IGNORED), tags),
        "regression": draw.normal(0, 1, ROWS).astype(np.float32),
    }
    shapes = {"tagging": (ROWS, TOKENS, NAMES), "regression": (ROWS, 1)}
    logits = {task: draw.normal(0, 20, shapes.get(task, (ROWS, NAMES))).astype(np.float32) for task in labels}
    outputs = {f"{task}_logits": values for task, values in logits.items()}  # far beyond where exp() alone would do
    np.savez(tmp_path / "given.npz", lengths=lengths, offsets=offsets, **labels, **outputs)
    command = [environments.ensure("hf_trainer").python, "-c", TORCH, tmp_path / "given.npz", *labels]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    padded = np.full((ROWS, TOKENS), IGNORED)
    padded[np.arange(TOKENS) < lengths[:, None]] = labels["tagging"]
    for task, line in zip(labels, done.stdout.splitlines(), strict=True):
        each, mean = json.loads(line)
        reference = TASKS[task].loss(logits[task], padded if task == "tagging" else labels[task])
        np.testing.assert_allclose(each, reference.each, rtol=1e-5, atol=1e-6, err_msg=task)
        assert mean == pytest.approx(reference.mean, rel=1e-6), task
