"""Apache MXNet with gluonnlp: you write the loop; blocks hold the weights, a Trainer changes them on every device.

Pick it to run a project that was written in it, or to take its models elsewhere; Apache retired MXNet in 2023.

After scripts/bert/finetune_classifier.py of gluonnlp 0.10 (BERTAdam, its schedule, gradients that add up over batches)
and example/gluon/image_classification.py of MXNet (a hybridized block on several devices, split_and_load, a Trainer).
"""

from collections.abc import Callable

import gluonnlp as nlp
import mxnet as mx
import numpy as np
from mxnet import autograd, gluon

from recipes.contract.checkpoints import step_of
from recipes.contract.job import Batch, Job, Predict
from recipes.contract.schedule import linear
from recipes.contract.split import rows_of
from recipes.mxnet.batches import Part, batches_of, devices_of, pad, seed_of
from recipes.mxnet.losses import LOSSES
from recipes.mxnet.model import Classifier, build, save, saved


def trainer_of(job: Job, model: Classifier, optimizer: str = "bertadam") -> gluon.Trainer:
    """Return the trainer: no decay on biases and LayerNorm, and the head at its own rate."""
    settings, (beta1, beta2) = job.settings, job.settings["betas"]
    for parameter in model.collect_params(".*beta|.*gamma|.*bias").values():
        parameter.wd_mult = 0.0
    for parameter in model.head.collect_params().values():
        parameter.lr_mult = settings["head_learning_rate"] / settings["learning_rate"]
    options = {"beta1": beta1, "beta2": beta2, "epsilon": settings["epsilon"], "wd": settings["weight_decay"]}
    return gluon.Trainer(model.collect_params(), optimizer, options, update_on_kvstore=False)


def trained_of(job: Job, model: Classifier) -> list[gluon.Parameter]:
    """Return the parameters that are trained; their gradients add up where a step has several batches."""
    if job.settings["freeze_word_embeddings"]:
        model.bert.word_embed.collect_params().setattr("grad_req", "null")
    trained = [parameter for parameter in model.collect_params().values() if parameter.grad_req != "null"]
    for parameter in trained:
        parameter.grad_req = "add" if job.train.accumulate > 1 else "write"
    return trained


def backward(job: Job, model: Classifier, parts: list[Part]) -> list[mx.nd.NDArray]:
    """Compute a batch's gradients, on each device those of its part; return each part's share in the mean loss."""
    loss_of = LOSSES[job.task.name]()
    with autograd.record():
        losses = [(loss_of(model(part.ids, part.lengths), part.labels) * part.share).sum() for part in parts]
    autograd.backward(losses)
    return losses


def finetune(
    job: Job,
    build: Callable = build,
    trainer_of: Callable = trainer_of,
    clip: Callable = nlp.utils.clip_grad_global_norm,
) -> Predict:
    settings, devices = job.settings, devices_of(job)
    with job.phase("load_weights"):
        model = build(job, devices)
        model.hybridize(static_alloc=True)
        trained = trained_of(job, model)
        job.event("model", parameters=sum(int(np.prod(one.shape)) for one in model.collect_params().values()))
    with job.phase("build_data"):
        train = job.split("train")
        size = len(job.steps(train.row_ids))
        steps = job.train.epochs * size
    with job.phase("train"):
        trainer, share, step = trainer_of(job, model), linear(job, steps), 0
        if checkpoint := job.checkpoints.newest():
            model.load_parameters(str(checkpoint / "model.params"), ctx=devices)
            trainer.load_states(str(checkpoint / "trainer.states"))
            step = step_of(checkpoint)
        first, done = divmod(step, size)
        for epoch in range(first, job.train.epochs):
            for rows in job.steps(job.order(epoch))[done if epoch == first else 0 :]:
                rate = settings["learning_rate"] * share(step)
                trainer.set_learning_rate(rate)
                step += 1
                mx.random.seed(seed_of(job, step))  # of dropout; MXNet tells nobody its random state, for a checkpoint
                model.collect_params().zero_grad()
                batches = batches_of(job, train, rows, model.encoder.bert.padding)
                losses = [loss for parts in batches for loss in backward(job, model, parts)]
                trainer.allreduce_grads()
                norm = clip(trained, settings["max_grad_norm"])
                trainer.update(1)  # the losses are means already
                if job.reports(step, steps):
                    loss = sum(one.asscalar().item() for one in losses)
                    job.step(step, steps, loss=loss, learning_rate=rate, grad_norm=norm.asscalar().item())
                if job.checkpoints.due(step):
                    with job.checkpoints.writing(step) as folder:
                        model.save_parameters(str(folder / "model.params"))
                        trainer.save_states(str(folder / "trainer.states"))
            job.epoch_ended(lambda: predictor(model))
    with job.phase("save"):
        save(model, job)
    return predictor(model)


def load(job: Job) -> Predict:
    """Return the function that predicts, from the saved model alone."""
    model = saved(job)
    model.hybridize(static_alloc=True)
    return predictor(model)


def predictor(model: Classifier) -> Predict:
    """Return the function that predicts, on one device."""
    device = model.head.bias.list_ctx()[0]

    def predict(batch: Batch) -> np.ndarray | list[np.ndarray]:
        ids, lengths = (mx.nd.array(one, device) for one in pad(batch.token_ids, model.encoder.bert.padding))
        return rows_of(model(ids, lengths).asnumpy(), batch)

    return predict
