"""JAX alone, with optax: you write the loop, and its step as a pure function, which JAX differentiates and compiles.

Pick it to write the mathematics itself, and have it compiled for processors, GPUs and several of them as it stands.

After docs/the-training-cookbook.py of JAX (parameters as a tree, one compiled step of a state, a mesh of devices) and
examples/gradient_accumulation_and_microbatching.ipynb of optax (donated state, a scan over the batches of a step).
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from recipes.contract.checkpoints import step_of
from recipes.contract.job import Batch, Job, Predict
from recipes.contract.split import rows_of
from recipes.jax import trees
from recipes.jax.model import Params, build, logits_of, save, saved
from recipes.on_jax.batches import Arrays, chunk_batches, prediction_batch
from recipes.on_jax.devices import shardings
from recipes.on_jax.functions import LOSSES
from recipes.on_jax.optimizer import adamw, warm_up_then_cosine
from recipes.on_jax.steps import ahead, program, report
from recipes.weights.bert import Bert

STATE = "state.safetensors"  # of a checkpoint


class State(NamedTuple):
    """What a step makes anew: a tree of arrays, like all that JAX maps, compiles and places."""

    params: Params
    moments: optax.OptState
    key: jax.Array  # of dropout


def step_function(job: Job, bert: Bert, optimizer: optax.GradientTransformation) -> Callable:
    """Return the step: state, batches, parameters that are frozen -> state, loss, the gradient's norm."""

    def loss_of(params: Params, batch: Arrays, key: jax.Array, frozen: Params) -> jax.Array:
        logits = logits_of(params | frozen, batch["texts"], bert, job.pooling, job.dropout, key)
        return jnp.sum(LOSSES[job.task.name](logits, batch["labels"]) * batch["share"])

    def step(state: State, batches: Arrays, frozen: Params) -> tuple[State, jax.Array, jax.Array]:
        def add(total: Any, one: Any) -> tuple[Any, None]:
            return jax.tree.map(jnp.add, total, jax.value_and_grad(loss_of)(state.params, *one, frozen)), None

        key, *keys = jax.random.split(state.key, 1 + job.train.accumulate)
        nothing = jnp.zeros(()), optax.tree.zeros_like(state.params)
        (loss, gradient), _ = jax.lax.scan(add, nothing, (batches, jnp.stack(keys)))
        updates, moments = optimizer.update(gradient, state.moments, state.params)
        return State(optax.apply_updates(state.params, updates), moments, key), loss, optax.tree.norm(gradient)

    return step


def finetune(job: Job, build: Callable = build, schedule: Callable = warm_up_then_cosine) -> Predict:
    settings, (everywhere, by_rows) = job.settings, shardings(job)
    with job.phase("load_weights"):
        params, bert = build(job)
        job.event("model", parameters=optax.tree.size(params))
        params = jax.device_put(params, everywhere)
        frozen = {"words": params.pop("words")} if settings["freeze_word_embeddings"] else {}
    with job.phase("build_data"):
        train = job.split("train")
        size = len(job.steps(train.row_ids))
        steps = job.train.epochs * size
    with job.phase("train"):
        rate_of = partial(schedule, job, steps)
        optimizer, step = adamw(settings, rate_of), 0
        state = State(params, optimizer.init(params), jax.random.key(job.seed, impl="rbg"))  # rbg is soon compiled
        state, update = jax.device_put(state, everywhere), program(job, step_function(job, bert, optimizer))
        if checkpoint := job.checkpoints.newest():
            state, step = trees.restored(state, checkpoint / STATE), step_of(checkpoint)
        for chunk, batches in ahead(chunk_batches(job, train, bert, step, by_rows)):
            state, told = update(state, batches, len(chunk), frozen)
            report(job, chunk, steps, told, rate_of(settings["learning_rate"]))
            if job.checkpoints.due(chunk.stop):
                with job.checkpoints.writing(chunk.stop) as folder:
                    trees.save(state, folder / STATE)
            if chunk.stop % size == 0:
                job.epoch_ended(partial(predictor, state.params | frozen, bert, job))
    with job.phase("save"):
        params = jax.device_get(state.params | frozen)
        save(params, job)
    return predictor(params, bert, job)


def load(job: Job) -> Predict:
    """Return the function that predicts, from the saved model alone."""
    return predictor(*saved(job), job)


def predictor(params: Params, bert: Bert, job: Job) -> Predict:
    """Return the function that predicts, on one device."""
    params = jax.device_put(params, jax.devices()[0])

    def predict(batch: Batch) -> np.ndarray | list[np.ndarray]:
        texts = prediction_batch(batch.token_ids, bert)
        return rows_of(np.asarray(logits_of(params, texts, bert, job.pooling)), batch)

    return predict
