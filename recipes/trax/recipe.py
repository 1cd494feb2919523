"""Trax on JAX: layers put together by combinators, a task of data, loss and optimizer; its Loop owns the training.

Pick it to go on from code that was written in it; its last release is of October 2021.

After docs/source/notebooks/trax_intro.ipynb of Trax (layers, streams of batches, TrainTask and Loop) and
trax/models/research/bert.py (weights given to a model in their order).
"""

from collections.abc import Callable, Iterator

import jax
import numpy as np
from trax import fastmath
from trax import layers as tl
from trax.supervised import training

from recipes.contract.checkpoints import step_of
from recipes.contract.job import Batch, Job, Predict
from recipes.contract.split import Split, rows_of
from recipes.on_jax.batches import prediction_batch, step_batches
from recipes.on_jax.devices import shardings
from recipes.trax.model import LOSSES, build, classifier, save, saved
from recipes.trax.optimizer import Adam, warm_up_then_cosine
from recipes.weights.bert import Bert

TOLD = {"loss": "metrics/loss", "learning_rate": "training/learning_rate", "grad_norm": "training/gradients_l2"}


def batches(job: Job, split: Split, bert: Bert, done: int) -> Iterator[tuple[np.ndarray, ...]]:
    """Yield the rows of each step after `done`: ids and mask (rows, tokens), labels, and their weights."""
    for epoch in range(job.train.epochs):
        for rows in job.steps(job.order(epoch)):
            if done:
                done -= 1
                continue
            step = step_batches(job, split, [rows], bert)
            parts = *step["texts"], step["labels"], step["share"]
            yield tuple(values.reshape(-1, *values.shape[3:]) for values in parts)


def finetune(
    job: Job, build: Callable = build, adam: type[Adam] = Adam, schedule: Callable = warm_up_then_cosine
) -> Predict:
    shardings(job)  # there are as many devices as the job has: the Loop takes all there are
    jax.config.update("jax_default_prng_impl", "unsafe_rbg")  # each layer splits a key: compiled in half the time
    with job.phase("load_weights"):
        bert, values = build(job)
        model, trained = (classifier(job, bert, values, mode) for mode in ("train", "eval"))
        job.event("model", parameters=sum(map(np.size, values.values())))
    with job.phase("build_data"):
        train = job.split("train")
        size = len(job.steps(train.row_ids))
        steps = job.train.epochs * size
    with job.phase("train"):
        checkpoint = job.checkpoints.newest()
        done = step_of(checkpoint) if checkpoint else 0
        task = training.TrainTask(
            batches(job, train, bert, done),
            LOSSES[job.task.name](),
            adam(job),
            schedule(job, steps),
            loss_name="loss",
            sample_batch=next(batches(job, train, bert, 0)),  # or it would take one of the training's
        )
        loop = training.Loop(
            tl.Chunk(model, job.train.batch_size) if job.train.accumulate > 1 else model,
            task,
            eval_tasks=[],
            eval_at=lambda step: job.reports(step, steps),  # when it keeps loss and norm in its history
            output_dir=str(job.folder / "trax"),  # where there is none, it saves no checkpoints
            checkpoint_at=lambda step: False,
            random_seed=job.seed,
        )
        if checkpoint:
            loop.load_checkpoint(str(checkpoint))
            for _ in range(done):  # a checkpoint has no keys: the Loop has drawn one a step
                loop.new_rng()
        predict = predictor(trained, bert)
        while loop.step < steps:
            loop.run()
            if job.reports(loop.step, steps):
                told = {name: float(loop.history.get("train", metric)[-1][1]) for name, metric in TOLD.items()}
                job.step(loop.step, steps, **told)
            if job.checkpoints.due(loop.step):
                with job.checkpoints.writing(loop.step) as folder:
                    loop.save_checkpoint(str(folder / "model"))
            if loop.step % size == 0:
                trained.weights = model.weights
                job.epoch_ended(lambda: predict)
    with job.phase("save"):
        save(model, bert, values, job)
    return predict


def load(job: Job) -> Predict:
    """Return the function that predicts, from the saved model alone."""
    bert, values = saved(job)
    return predictor(classifier(job, bert, values, "eval"), bert)


def predictor(model: tl.Serial, bert: Bert) -> Predict:
    """Return the function that predicts with the weights that the model has then, on one device."""
    forward = fastmath.jit(model.pure_fn)

    def predict(batch: Batch) -> np.ndarray | list[np.ndarray]:
        logits, _ = forward(tuple(prediction_batch(batch.token_ids, bert)), model.weights, model.state, model.rng)
        return rows_of(np.asarray(logits), batch)

    return predict
