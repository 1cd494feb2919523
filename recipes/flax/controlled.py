"""What `protocol=controlled` changes of the recipe: the head, transformers' linear schedule. Its AdamW is torch's."""

import jax
import numpy as np
from flax import nnx

from recipes.contract.job import Batch, Hidden, Job, Predict
from recipes.flax import model, recipe
from recipes.flax.encoder import encoder_of
from recipes.flax.model import Classifier, with_head
from recipes.flax.recipe import load
from recipes.on_jax.batches import pad
from recipes.on_jax.optimizer import warm_up_then_linear

__all__ = ["finetune", "hidden_states", "load"]


def finetune(job: Job) -> Predict:
    return recipe.finetune(job, build=build, schedule=warm_up_then_linear)


def build(job: Job) -> Classifier:
    """Return the classifier with the job's head."""
    return with_head(model.build(job), *job.head())


def hidden_states(job: Job) -> Hidden:
    """Return the encoder before training, as a function."""
    encoder = encoder_of(job.weights, job.precision, job.dropout)
    rngs = nnx.Rngs(dropout=jax.random.key(job.seed))

    def hidden(batch: Batch, training: bool) -> np.ndarray:
        return np.asarray(nnx.view(encoder, deterministic=not training)(pad(batch.token_ids, encoder.bert), rngs))

    return hidden
