"""The loss of each task in PyTorch's words; recipes/contract/tasks.py has them in numpy."""

from collections.abc import Callable

import torch
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from recipes.contract.job import Job
from recipes.contract.tasks import IGNORED


def criterion(job: Job) -> Callable[..., torch.Tensor]:
    """Return the function (logits, labels, reduction=…) of the job's task; `collate` makes its labels.

    With reduction="none" it gives a number for each element of the labels: one a text, or one for each name that may
    hold of it. The task's loss of a text is their mean, so that of a batch is the mean over all elements. Labels that
    are IGNORED have the loss 0: of rows that fill a batch up.
    """
    return {"classification": cross_entropy, "multilabel": binary_cross_entropy}[job.task.name]


def binary_cross_entropy(logits: torch.Tensor, labels: torch.Tensor, reduction: str) -> torch.Tensor:
    """PyTorch's, which has no `ignore_index` as `cross_entropy` has."""
    return binary_cross_entropy_with_logits(logits, labels, (labels != IGNORED).to(logits.dtype), reduction=reduction)
