"""fastai, the Learner: it owns the loop; you give it data, a model and callbacks, which may step in anywhere.

Pick it for the best practice as one call: one-cycle schedules, layers unfrozen step by step, each at its own rate.
"""

import math
from collections.abc import Mapping
from functools import partial

import torch
from fastai.basics import (
    Adam,
    CrossEntropyLossFlat,
    DataLoaders,
    Learner,
    OptimWrapper,
    default_device,
    params,
    set_seed,
    trainable_params,
)
from fastai.callback.schedule import ParamScheduler, SchedLin, combine_scheds
from fastai.callback.training import GradientClip
from fastai.text.data import SortedDL, pad_input
from torch import nn

from recipes.contract.job import Job, Predict
from recipes.contract.schedule import warmup_steps
from recipes.contract.split import Split
from recipes.fastai.callbacks import Accumulate, BFloat16, Checkpoint, Report, Shared, in_turn
from recipes.pytorch.controlled import build as built
from recipes.pytorch.controlled import hidden_states
from recipes.pytorch.model import Classifier, build, load, predictor, save
from recipes.pytorch.optimizer import parameter_groups

__all__ = ["finetune", "hidden_states", "load"]
default_device(torch.cuda.is_available())  # CUDA's where one is shown, else the processors: not Apple's GPU of itself


def finetune(job: Job) -> Predict:
    set_seed(job.seed + job.rank, reproducible=True)
    settings, epochs = job.settings, job.train.epochs
    with job.phase("load_weights"):
        model = (built if job.controlled else build)(job)
        model.encoder.get_input_embeddings().requires_grad_(not settings["freeze_word_embeddings"])
    with job.phase("build_data"):
        padding = model.encoder.config.pad_token_id
        train, valid = loader(job, "train", padding, shuffle=True), loader(job, "valid", padding)
        if job.controlled:
            orders = [in_turn(job, epoch) for epoch in range(epochs)]
            train.get_idxs = partial(next, iter(orders))  # asked for once an epoch, cut into batches of `bs`
        if job.processes > 1:
            train = Shared(train)
        dls = DataLoaders(train, valid, device=default_device())
    with job.phase("train"):
        checkpoints = Checkpoint(job, train)
        cbs = [GradientClip(settings["max_grad_norm"]), Accumulate(job), checkpoints, Report(checkpoints)]
        learn = Learner(
            dls,
            model,
            loss_func=CrossEntropyLossFlat(),
            opt_func=optimizer(job),
            splitter=partial(parameter_groups, settings=settings) if job.controlled else layer_groups,
            train_bn=False,  # else LayerNorm is trained in frozen layers too, and all are passed backwards
            cbs=[*cbs, BFloat16()] if job.precision == "bf16" else cbs,
            path=job.model,
            model_dir="fastai",
        )
        with learn.no_bar(), learn.no_logging(), learn.distrib_ctx(sync_bn=False):  # no-op in one process
            if job.controlled:
                learn.fit(epochs, cbs=linear_schedule(settings, checkpoints.steps))
            else:
                frozen = settings["freeze_to"][: epochs - 1]  # an epoch each; what is left is for all layers
                for groups in frozen:
                    learn.freeze_to(groups)
                    one_cycle(learn, 1, settings, checkpoints.steps // epochs)
                learn.unfreeze()
                one_cycle(learn, epochs - len(frozen), settings, checkpoints.steps // epochs)
    with job.phase("save"):
        learn.save("model", with_opt=False)
        save(model, job)
    return predictor(model, job)


def optimizer(job: Job) -> partial:
    """Return fastai's AdamW; controlled: torch's, in fastai's wrapper."""
    (beta1, beta2), eps, decay = job.settings["betas"], job.settings["epsilon"], job.settings["weight_decay"]
    if job.controlled:
        # The wrapper passes by what Learner sets against decay of biases and norms: the splitter's groups say it.
        return partial(OptimWrapper, opt=torch.optim.AdamW, betas=(beta1, beta2), eps=eps, fused=True)
    return partial(Adam, mom=beta1, sqr_mom=beta2, eps=eps, wd=decay)


def one_cycle(learn: Learner, epochs: int, settings: Mapping, steps: int) -> None:
    """Train for some epochs of `steps` optimiser steps: up to the rates, then down, beginning at 1/25 of them."""
    rates, steps = slice(settings["learning_rate"], settings["head_learning_rate"]), epochs * steps
    rising = warmup_steps(settings["warmup"], steps) / steps
    learn.fit_one_cycle(epochs, rates, pct_start=rising, moms=settings["momenta"])


def linear_schedule(settings: Mapping, steps: int) -> ParamScheduler:
    """Return the controlled protocol's rate: up from 0, then down, both linearly, in steps; fastai counts batches."""
    rate, rising = settings["learning_rate"], warmup_steps(settings["warmup"], steps) / steps
    line = combine_scheds([rising, 1 - rising], [SchedLin(0, rate), SchedLin(rate, 0)])
    return ParamScheduler({"lr": lambda share: line(math.floor(share * steps + 1e-6) / steps)})


def layer_groups(model: Classifier) -> list[list[nn.Parameter]]:
    """Split the model for discriminative rates: embeddings and lower layers, upper layers, head."""
    layers = next(module for module in model.encoder.modules() if isinstance(module, nn.ModuleList))
    upper = trainable_params(layers[len(layers) // 2 :])
    known = {id(parameter) for parameter in upper}
    lower = [parameter for parameter in trainable_params(model.encoder) if id(parameter) not in known]
    return [lower, upper, params(model.head)]


class Rows:
    """The rows of a split as fastai takes them: a tuple of token ids, mask and label."""

    def __init__(self, split: Split):
        self.split = split

    def __len__(self):
        return len(self.split)

    def __getitem__(self, row):
        ids = torch.tensor(self.split.token_ids[row], dtype=torch.long)
        return ids, torch.ones_like(ids), int(self.split.labels[row])


def loader(job: Job, name: str, padding: int, **settings) -> SortedDL:
    """Return batches of texts of like length, each padded to its longest."""
    split = job.split(name)
    pads = [partial(pad_input, pad_idx=padding), partial(pad_input, pad_idx=0, pad_fields=1)]
    size = job.train.batch_size
    # A process of its own for the batches would compete with the training for the processors.
    return SortedDL(Rows(split), res=split.lengths, bs=size, before_batch=pads, num_workers=0, **settings)
