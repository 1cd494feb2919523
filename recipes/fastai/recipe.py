"""fastai, the Learner: it owns the loop; you give it data, a model and callbacks, which may step in anywhere.

Pick it for the best practice as one call: one-cycle schedules, layers unfrozen step by step, each at its own rate.

After the notebooks 38_tutorial.text (layers unfrozen) and 39_tutorial.transformers (a model of theirs) of fastai 2.8.
"""

import math
from collections.abc import Callable
from functools import partial

import fastai.callback.schedule  # noqa: F401 (it gives the Learner fit_one_cycle)
import torch
from accelerate.utils import compile_regions
from fastai.basics import Adam, DataLoaders, Learner, default_device, set_seed, trainable_params
from fastai.callback.training import GradientClip
from fastai.losses import BCEWithLogitsLossFlat, CrossEntropyLossFlat, MSELossFlat
from fastai.text.data import SortedDL
from torch import nn

from recipes.contract.job import Job, Predict
from recipes.contract.schedule import warmup_steps
from recipes.fastai.callbacks import PRECISION, Accumulate, Checkpoint, Report, Shared
from recipes.fastai.data import Rows, pads
from recipes.pytorch.model import Classifier, build, load, predictor, save

__all__ = ["finetune", "load"]
LOSSES = {
    "classification": CrossEntropyLossFlat,
    "multilabel": BCEWithLogitsLossFlat,
    "tagging": CrossEntropyLossFlat,
    "regression": MSELossFlat,
}
default_device(torch.cuda.is_available())  # CUDA's where one is shown, else the processors: not Apple's GPU of itself


def loader(job: Job, name: str, padding: int, **settings) -> SortedDL:
    """Return batches of a split's texts, of like length, each padded to its longest."""
    split = job.split(name)
    settings |= {"bs": job.train.batch_size, "before_batch": pads(job.task, padding)}
    # A process of its own for the batches would compete with the training for the processors.
    return SortedDL(Rows(split), res=split.lengths, num_workers=0, **settings)


def layer_groups(model: Classifier) -> list[list[nn.Parameter]]:
    """Split the model for discriminative rates: embeddings and lower layers, upper layers, head."""
    layers = next(module for module in model.encoder.modules() if isinstance(module, nn.ModuleList))
    upper = trainable_params(layers[len(layers) // 2 :])
    lower = [one for one in trainable_params(model.encoder) if not any(one is other for other in upper)]
    return [lower, upper, trainable_params(model.head)]


def adam(job: Job) -> partial:
    """Return fastai's Adam, whose weight decay is decoupled."""
    (mom, sqr_mom), settings = job.settings["betas"], job.settings
    return partial(Adam, mom=mom, sqr_mom=sqr_mom, eps=settings["epsilon"], wd=settings["weight_decay"])


def unfreeze_gradually(learn: Learner, job: Job, steps: int) -> None:
    """Train an epoch, of `steps` optimiser steps, for each entry of `freeze_to`; the epochs left, with all layers.

    Each is one cycle: up to the rates, which are the lowest for the first layers, then down, beginning at 1/25 of them.
    """
    settings, epochs = job.settings, job.train.epochs
    rates = slice(settings["learning_rate"], settings["head_learning_rate"])
    frozen = settings["freeze_to"][: epochs - 1]
    for groups, length in [*((groups, 1) for groups in frozen), (0, epochs - len(frozen))]:
        learn.freeze_to(groups)  # 0: none is frozen
        rising = warmup_steps(settings["warmup"], length * steps) / (length * steps)
        learn.fit_one_cycle(length, rates, pct_start=rising, moms=settings["momenta"])


def finetune(
    job: Job,
    build: Callable[[Job], Classifier] = build,
    loader: Callable[..., SortedDL] = loader,
    splitter: Callable[[Classifier], list] = layer_groups,
    optimizer: Callable[[Job], partial] = adam,
    fit: Callable[[Learner, Job, int], None] = unfreeze_gradually,
) -> Predict:
    set_seed(job.seed + job.rank, reproducible=True)
    with job.phase("load_weights"):
        model = build(job)
        model.encoder.get_input_embeddings().requires_grad_(not job.settings["freeze_word_embeddings"])
    with job.phase("build_data"):
        padding = model.encoder.config.pad_token_id
        train, valid = loader(job, "train", padding, shuffle=True), loader(job, "valid", padding)
        train = Shared(train) if job.processes > 1 else train
        dls = DataLoaders(train, valid, device=default_device())
    with job.phase("train"):
        steps = math.ceil(len(train) / job.train.accumulate)  # of an epoch
        cbs = [Accumulate(job), Checkpoint(job, steps), Report(job), GradientClip(job.settings["max_grad_norm"])]
        learn = Learner(
            dls,
            compile_regions(model, dynamic=True) if job.compile == "model" else model,  # once for all layers
            loss_func=LOSSES[job.task.name](),
            opt_func=optimizer(job),
            splitter=splitter,
            train_bn=False,  # else LayerNorm is trained in frozen layers too, and all are passed backwards
            cbs=[*cbs, *PRECISION.get(job.precision, list)()],
            path=job.model,
            model_dir="fastai",
        )
        with learn.no_bar(), learn.no_logging(), learn.distrib_ctx(sync_bn=False):  # no-op in one process
            fit(learn, job, steps)
    with job.phase("save"):
        learn.model = model  # not the compiled one, whose names are others
        learn.save("model", with_opt=False)
        save(model, job)
    return predictor(model, job)
