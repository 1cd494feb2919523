"""What torchvision's references/classification/train.py takes to train: an optimizer, a schedule, smoothed labels."""

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import nn
from torchvision.ops._utils import split_normalization_params

from recipes.contract.job import Job
from recipes.contract.schedule import warmup_steps
from recipes.pytorch import losses


def optimizer_of(model: nn.Module, settings: Mapping[str, Any]) -> torch.optim.Optimizer:
    """Return SGD with Nesterov's momentum, or AdamW; what normalises does not decay."""
    normalising, others = split_normalization_params(model)
    groups = [{"params": normalising, "weight_decay": 0.0}, {"params": others}]
    groups = [group for group in groups if group["params"]]
    shared = {"lr": settings["learning_rate"], "weight_decay": settings["weight_decay"]}
    if settings["optimizer"] == "sgd":
        return torch.optim.SGD(groups, momentum=settings["momentum"], nesterov=settings["momentum"] > 0, **shared)
    return torch.optim.AdamW(groups, betas=settings["betas"], eps=settings["epsilon"], **shared)


def cosine(warmup: float, steps: int) -> Callable[[int], float]:
    """Return the share of the rate at a step counted from 0: up for a share of them, then down to 0 as a cosine."""
    rising = warmup_steps(warmup, steps)

    def share(step: int) -> float:
        if step < rising:
            return (step + 1) / (rising + 1)
        return (1 + math.cos(math.pi * (step - rising) / (steps - rising))) / 2

    return share


def criterion(job: Job) -> Callable[..., torch.Tensor]:
    """Return the task's loss, as recipes/pytorch has it; where a text has one label, it is smoothed."""
    loss = losses.criterion(job)
    return partial(loss, label_smoothing=job.settings["label_smoothing"]) if job.task.name == "classification" else loss
