"""What `protocol=controlled` changes of the recipe: the head, transformers' linear schedule. Its AdamW is torch's."""

import jax
import jax.numpy as jnp
import numpy as np

from recipes.contract.job import Batch, Hidden, Job, Predict
from recipes.jax import model, recipe
from recipes.jax.encoder import encode, encoder_of
from recipes.jax.recipe import load
from recipes.on_jax.batches import pad
from recipes.on_jax.optimizer import warm_up_then_linear
from recipes.weights.bert import Bert

__all__ = ["finetune", "hidden_states", "load"]


def finetune(job: Job) -> Predict:
    return recipe.finetune(job, build=build, schedule=warm_up_then_linear)


def build(job: Job) -> tuple[model.Params, Bert]:
    """Return the parameters with the job's head."""
    params, bert = model.build(job)
    weight, bias = job.head()
    return params | {"head": {"kernel": jnp.asarray(weight.T), "bias": jnp.asarray(bias)}}, bert


def hidden_states(job: Job) -> Hidden:
    """Return the encoder before training, as a function."""
    params, bert = encoder_of(job.weights, job.precision)

    def hidden(batch: Batch, training: bool) -> np.ndarray:
        key = jax.random.key(job.seed) if training else None
        return np.asarray(encode(params, bert, pad(batch.token_ids, bert), job.dropout, key))

    return hidden
