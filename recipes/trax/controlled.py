"""What `protocol=controlled` changes of the recipe: the head, transformers' linear schedule, AdamW as torch has it."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from trax import layers as tl

from recipes.contract.job import Batch, Hidden, Job, Predict
from recipes.contract.schedule import linear
from recipes.on_jax.batches import pad
from recipes.trax import model, recipe
from recipes.trax.encoder import ACTIVATIONS, TOKENS, encoder
from recipes.trax.optimizer import Adam, Values
from recipes.trax.recipe import load
from recipes.trax.weights import encoder_names, give
from recipes.weights import Weights
from recipes.weights.bert import Bert, read

__all__ = ["finetune", "hidden_states", "load"]


def finetune(job: Job) -> Predict:
    return recipe.finetune(job, build=build, adam=AdamW, schedule=schedule)


def build(job: Job) -> tuple[Bert, Weights]:
    """Return the weights with the job's head."""
    bert, values = model.build(job)
    weight, bias = job.head()
    return bert, values | {"head/kernel": weight.T, "head/bias": bias}


def schedule(job: Job, steps: int) -> Callable[[int], float]:
    """Return transformers' linear schedule, for steps counted from 1."""
    share = linear(job, steps)
    return lambda step: job.settings["learning_rate"] * share(step - 1)


class AdamW(Adam):
    """AdamW (Loshchilov and Hutter 2019): it decays by the rate, no biases and LayerNorm, which are vectors.

    Trax's Adam takes steps as counted from 0; its Loop counts them from 1.
    """

    def update(self, step: Any, grads: Any, weights: Any, slots: Values, opt_params: dict) -> tuple[Any, Values]:
        decay = opt_params["weight_decay_rate"] * opt_params["learning_rate"] * slots[-1] if weights.ndim > 1 else 0.0
        return super().update(step - 1, grads, weights, slots, opt_params | {"weight_decay_rate": decay})


def hidden_states(job: Job) -> Hidden:
    """Return the encoder before training, as a function."""
    bert, values = read(job.weights, job.precision, ACTIVATIONS)
    both = {training: tl.Serial(encoder(bert, values, job.dropout, training)) for training in ("train", "eval")}
    for one in both.values():
        one.init(TOKENS)
        give(one, encoder_names(bert.layers), values)

    def hidden(batch: Batch, training: bool) -> np.ndarray:
        found = both["train" if training else "eval"]
        return np.asarray(found(tuple(pad(batch.token_ids, bert)), rng=jax.random.PRNGKey(job.seed)))

    return hidden
