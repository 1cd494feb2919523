"""What `protocol=controlled` changes of the recipe: head, order of rows, groups of parameters, AdamW, and the rate."""

import math
from functools import partial

import numpy as np
import torch
from fastai.basics import Learner, OptimWrapper
from fastai.callback.schedule import ParamScheduler, SchedLin, combine_scheds
from fastai.text.data import SortedDL

from recipes.contract.job import Job, Predict
from recipes.contract.schedule import warmup_steps
from recipes.fastai import recipe
from recipes.fastai.recipe import load
from recipes.pytorch.controlled import build, hidden_states
from recipes.pytorch.optimizer import parameter_groups

__all__ = ["finetune", "hidden_states", "load"]


def finetune(job: Job) -> Predict:
    groups = partial(parameter_groups, settings=job.settings)
    return recipe.finetune(job, build=build, loader=loader, splitter=groups, optimizer=adamw, fit=fit_linear)


def loader(job: Job, name: str, padding: int, **settings) -> SortedDL:
    """Return the recipe's batches; those of train have the rows in the order given."""
    batches = recipe.loader(job, name, padding, **settings)
    if name == "train":
        orders = (in_turn(job, epoch) for epoch in range(job.train.epochs))
        batches.get_idxs = partial(next, orders)  # asked for once an epoch, cut into batches of `bs`
    return batches


def in_turn(job: Job, epoch: int) -> list[int]:
    """Return the rows of an epoch, those of each process together: fastai cuts it into such pieces."""
    batches, processes = job.batches(job.order(epoch)), job.processes
    return np.concatenate([batch for rank in range(processes) for batch in batches[rank::processes]]).tolist()


def adamw(job: Job) -> partial:
    """Return torch's AdamW in fastai's wrapper.

    It passes by what Learner sets against decay of biases and norms: the groups of parameters say it.
    """
    betas, eps = tuple(job.settings["betas"]), job.settings["epsilon"]
    return partial(OptimWrapper, opt=torch.optim.AdamW, betas=betas, eps=eps, fused=True)


def fit_linear(learn: Learner, job: Job, steps: int) -> None:
    """Train at a rate that goes up from 0, then down, both linearly, in optimiser steps; fastai counts batches."""
    steps *= job.train.epochs
    rate, rising = job.settings["learning_rate"], warmup_steps(job.settings["warmup"], steps) / steps
    line = combine_scheds([rising, 1 - rising], [SchedLin(0, rate), SchedLin(rate, 0)])
    in_steps = ParamScheduler({"lr": lambda share: line(math.floor(share * steps + 1e-6) / steps)})
    learn.fit(job.train.epochs, cbs=in_steps)
