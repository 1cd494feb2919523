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
from recipes.flax import checkpoint
from recipes.flax.data import Steps, dataset
from recipes.flax.model import Classifier, build, save, saved
from recipes.on_jax.batches import prediction_batch
from recipes.on_jax.devices import shardings
from recipes.on_jax.functions import LOSSES
from recipes.on_jax.optimizer import adamw, warm_up_then_cosine


def step_function(job: Job, graph: nnx.GraphDef, trained: filterlib.Filter) -> Callable:
    """Return the step: the state of model, optimizer and rngs, batches -> that state, loss, the gradient's norm."""

    def loss_of(model: Classifier, batch: dict[str, jax.Array], rngs: nnx.Rngs) -> jax.Array:
        logits = model(batch["ids"], batch["mask"], rngs)
        return jnp.sum(LOSSES[job.task.name](logits, batch["labels"]) * batch["share"])

    gradient_of = nnx.value_and_grad(loss_of, argnums=nnx.DiffState(0, trained))

    @nnx.scan(in_axes=(nnx.Carry, None, 0, 0), out_axes=nnx.Carry)
    def add(total, model: Classifier, batch: dict[str, jax.Array], rngs: nnx.Rngs):
        return jax.tree.map(jnp.add, total, gradient_of(model, batch, rngs))

    @partial(jax.jit, donate_argnums=0)  # nnx.jit would take the modules apart in Python at each call
    def step(state: nnx.State, batches: dict[str, jax.Array]) -> tuple[nnx.State, jax.Array, jax.Array]:
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
        steps = len(Steps(job, train))
        batches = iter(dataset(job, train, model.encoder.bert, by_rows))
    with job.phase("train"):
        frozen = nnx.PathContains("words") if settings["freeze_word_embeddings"] else nnx.Nothing()
        trained = nnx.All(nnx.Param, nnx.Not(frozen))
        rate_of = partial(schedule, job, steps)
        optimizer = nnx.Optimizer(model, adamw(settings, rate_of), wrt=trained)
        rngs = nnx.Rngs(dropout=jax.random.key(job.seed, impl="rbg"))  # rbg is soon compiled
        training, done = (nnx.view(model, deterministic=False), optimizer, rngs), 0
        nnx.update(training, jax.device_put(nnx.state(training), everywhere))
        if folder := job.checkpoints.newest():
            nnx.update(training, checkpoint.restored(folder, nnx.state(training, nnx.Not(frozen)), batches))
            done = step_of(folder)
        graph, state = nnx.split(training)
        update = step_function(job, graph, trained)
        for step, batch in enumerate(batches, done + 1):
            state, loss, norm = update(state, batch)
            if job.reports(step, steps):
                rate = rate_of(settings["learning_rate"])(step - 1)
                job.step(step, steps, loss=loss.item(), learning_rate=float(rate), grad_norm=norm.item())
            if job.checkpoints.due(step):
                with job.checkpoints.writing(step) as folder:
                    checkpoint.save(folder, nnx.filter_state(state, nnx.Not(frozen)), batches)
            if step % (steps // job.train.epochs) == 0:
                nnx.update(training, state)
                job.epoch_ended(partial(predictor, model))
    with job.phase("save"):
        save(model, job)
    return predictor(model)


def load(job: Job) -> Predict:
    """Return the function that predicts, from the saved model alone."""
    return predictor(saved(job))


@partial(jax.jit, static_argnums=0)  # for a call with one text nnx.jit takes five times as long
def logits_of(graph: nnx.GraphDef, state: nnx.State, ids: jax.Array, mask: jax.Array) -> jax.Array:
    return nnx.merge(graph, state)(ids, mask)


def predictor(model: Classifier) -> Predict:
    """Return the function that predicts, on one device."""
    graph, state = nnx.split(nnx.view(model, deterministic=True))
    state, bert = jax.device_put(state, jax.devices()[0]), model.encoder.bert

    def predict(batch: Batch) -> np.ndarray:
        return np.asarray(logits_of(graph, state, *prediction_batch(batch.token_ids, bert)))[: len(batch)]

    return predict
