"""Flax NNX on JAX: you write the loop of modules that hold their weights; it hands JAX their state, and takes it back.

Pick it for JAX with layers, optimizers, checkpoints and data that are there, in code that reads like PyTorch.

After docs_nnx/mnist_tutorial.md of Flax (views of one model to train and to predict), docs_nnx/guides/performance.md
(a loop over the state of its modules), docs_nnx/examples/machine_translation.md (a transformer of its layers, grain).
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from flax.nnx import filterlib

from recipes.contract.checkpoints import step_of
from recipes.contract.job import Batch, Job, Predict
from recipes.contract.split import rows_of
from recipes.flax import checkpoint
from recipes.flax.data import Steps, dataset
from recipes.flax.model import Classifier, build, save, saved
from recipes.on_jax.batches import Arrays, prediction_batch
from recipes.on_jax.devices import shardings
from recipes.on_jax.functions import LOSSES
from recipes.on_jax.optimizer import adamw, warm_up_then_cosine
from recipes.on_jax.steps import program, report
from recipes.on_jax.texts import Texts


def step_function(job: Job, graph: nnx.GraphDef, trained: filterlib.Filter) -> Callable:
    """Return the step: the state of model, optimizer and rngs, batches -> that state, loss, the gradient's norm."""

    def loss_of(model: Classifier, batch: Arrays, rngs: nnx.Rngs) -> jax.Array:
        logits = model(batch["texts"], rngs)
        return jnp.sum(LOSSES[job.task.name](logits, batch["labels"]) * batch["share"])

    gradient_of = nnx.value_and_grad(loss_of, argnums=nnx.DiffState(0, trained))

    @nnx.scan(in_axes=(nnx.Carry, None, 0, 0), out_axes=nnx.Carry)
    def add(total, model: Classifier, batch: Arrays, rngs: nnx.Rngs):
        return jax.tree.map(jnp.add, total, gradient_of(model, batch, rngs))

    def step(state: nnx.State, batches: Arrays) -> tuple[nnx.State, jax.Array, jax.Array]:
        model, optimizer, rngs = nnx.merge(graph, state)
        nothing = jnp.zeros(()), optax.tree.zeros_like(nnx.state(model, trained))
        loss, gradient = add(nothing, model, batches, rngs.split(job.train.accumulate))
        optimizer.update(model, gradient)
        return nnx.state((model, optimizer, rngs)), loss, optax.tree.norm(gradient)

    return step


def finetune(job: Job, build: Callable = build, schedule: Callable = warm_up_then_cosine) -> Predict:
    settings, (everywhere, by_rows) = job.settings, shardings(job)
    with job.phase("load_weights"):
        model = build(job)
        job.event("model", parameters=optax.tree.size(nnx.state(model)))
    with job.phase("build_data"):
        train = job.split("train")
        size = len(job.steps(train.row_ids))
        steps = job.train.epochs * size
    with job.phase("train"):
        frozen = nnx.PathContains("words") if settings["freeze_word_embeddings"] else nnx.Nothing()
        trained = nnx.All(nnx.Param, nnx.Not(frozen))
        rate_of = partial(schedule, job, steps)
        optimizer = nnx.Optimizer(model, adamw(settings, rate_of), wrt=trained)
        rngs = nnx.Rngs(dropout=jax.random.key(job.seed, impl="rbg"))  # rbg is soon compiled
        training = nnx.view(model, deterministic=False), optimizer, rngs
        nnx.update(training, jax.device_put(nnx.state(training), everywhere))
        folder = job.checkpoints.newest()
        rows = Steps(job, train, done=step_of(folder) if folder else 0)
        batches = iter(dataset(job, train, model.encoder.bert, rows, by_rows))
        if folder:
            nnx.update(training, checkpoint.restored(folder, nnx.state(training, nnx.Not(frozen)), batches))
        graph, state = nnx.split(training)
        update = program(job, step_function(job, graph, trained))  # nnx.jit takes modules apart in Python at each call
        for chunk, batch in zip(rows.chunks.values(), batches, strict=True):
            state, told = update(state, batch, len(chunk))
            report(job, chunk, steps, told, rate_of(settings["learning_rate"]))
            if job.checkpoints.due(chunk.stop):
                with job.checkpoints.writing(chunk.stop) as folder:
                    checkpoint.save(folder, nnx.filter_state(state, nnx.Not(frozen)), batches)
            if chunk.stop % size == 0:
                nnx.update(training, state)
                job.epoch_ended(partial(predictor, model))
    with job.phase("save"):
        save(model, job)
    return predictor(model)


def load(job: Job) -> Predict:
    """Return the function that predicts, from the saved model alone."""
    return predictor(saved(job))


@partial(jax.jit, static_argnums=0)  # for a call with one text nnx.jit takes five times as long
def logits_of(graph: nnx.GraphDef, state: nnx.State, texts: Texts) -> jax.Array:
    return nnx.merge(graph, state)(texts)


def predictor(model: Classifier) -> Predict:
    """Return the function that predicts, on one device."""
    graph, state = nnx.split(nnx.view(model, deterministic=True))
    state, bert = jax.device_put(state, jax.devices()[0]), model.encoder.bert

    def predict(batch: Batch) -> np.ndarray | list[np.ndarray]:
        return rows_of(np.asarray(logits_of(graph, state, prediction_batch(batch.token_ids, bert))), batch)

    return predict
