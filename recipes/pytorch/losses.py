"""The loss of each task in PyTorch's words; recipes/contract/tasks.py has them in numpy."""

from collections.abc import Callable

import torch
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, mse_loss

from recipes.contract.job import Job
from recipes.contract.tasks import IGNORED


def criterion(job: Job) -> Callable[..., torch.Tensor]:
    """Return the function (logits, labels, reduction=…) of the job's task; `collate` makes its labels.

    With reduction="none" it gives a number for each element of the labels: one a text, or one for each name that may
    hold of it, or one a token. The task's loss of a batch is their mean, over those that are not IGNORED: these have
    the loss 0. So have rows that fill a batch up, and tokens without a tag.
    """
    return LOSSES[job.task.name]


def of_tokens(logits: torch.Tensor, labels: torch.Tensor, reduction: str) -> torch.Tensor:
    """PyTorch's cross entropy, of the tokens of all rows: (rows, tokens, tags) and (rows, tokens)."""
    return cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction=reduction)


def binary_cross_entropy(logits: torch.Tensor, labels: torch.Tensor, reduction: str) -> torch.Tensor:
    """PyTorch's, which has no `ignore_index` as `cross_entropy` has."""
    return binary_cross_entropy_with_logits(logits, labels, (labels != IGNORED).to(logits.dtype), reduction=reduction)


def squared_error(outputs: torch.Tensor, labels: torch.Tensor, reduction: str) -> torch.Tensor:
    """PyTorch's, of the one output of each row: (rows, 1) and (rows,)."""
    weight = (labels != IGNORED).to(outputs.dtype)
    return mse_loss(outputs[:, 0], labels, reduction=reduction, weight=weight)


LOSSES = {
    "classification": cross_entropy,
    "multilabel": binary_cross_entropy,
    "tagging": of_tokens,
    "regression": squared_error,
}
