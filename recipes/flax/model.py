"""The classifier as an NNX module: built, saved as a Hugging Face folder, read from it."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from recipes import weights
from recipes.contract.job import Job
from recipes.flax.encoder import Encoder, encoder_of, weights_of
from recipes.on_jax.texts import Texts


class Classifier(nnx.Module):
    """Texts -> logits (texts, outputs), unpooled (rows, tokens, outputs), float32."""

    def __init__(self, encoder: Encoder, size: int, job: Job, *, rngs: nnx.Rngs):
        self.encoder, self.pooling = encoder, job.pooling
        self.dropout = nnx.Dropout(job.dropout.hidden)
        self.head = nnx.Linear(size, job.outputs, kernel_init=nnx.initializers.normal(0.02), rngs=rngs)

    def __call__(self, texts: Texts, rngs: nnx.Rngs | None = None) -> jax.Array:
        hidden = self.encoder(texts, rngs).astype(jnp.float32)
        return self.head(self.dropout(texts.pooled(hidden, self.pooling), rngs=rngs))


def build(job: Job) -> Classifier:
    """Return the classifier with a new head."""
    return classifier_of(job, job.weights)


def classifier_of(job: Job, folder: Path) -> Classifier:
    """Return the classifier whose encoder stands in a Hugging Face folder, with a new head."""
    encoder = encoder_of(folder, job.precision, job.dropout)
    return Classifier(encoder, encoder.norm.num_features, job, rngs=nnx.Rngs(job.seed))


def with_head(model: Classifier, weight: np.ndarray, bias: np.ndarray) -> Classifier:
    """Return the classifier with this head: weight (outputs, hidden) and bias (outputs)."""
    model.head.kernel[...], model.head.bias[...] = jnp.asarray(weight.T), jnp.asarray(bias)
    return model


def save(model: Classifier, job: Job) -> None:
    """Write the Hugging Face folder."""
    head = {"weight": np.asarray(model.head.kernel[...]).T, "bias": np.asarray(model.head.bias[...])}
    weights.write(job, weights_of(model.encoder), head)


def saved(job: Job) -> Classifier:
    """Return what stands in the Hugging Face folder that a recipe has left."""
    return with_head(classifier_of(job, job.model), *weights.read_head(job.model))
