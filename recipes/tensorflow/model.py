"""The classifier, an encoder and a head: built, saved as a Hugging Face folder, read from it."""

import numpy as np
import tensorflow as tf

from recipes import weights
from recipes.contract.job import Dropout, Job
from recipes.on_tensorflow.dropout import Seed, dropout, seeds_of
from recipes.tensorflow.encoder import NO_DROPOUT, Dense, Encoder, encoder_of, named
from recipes.weights.bert import from_ours

TOKENS = tf.TensorSpec((None, None), tf.int32)


class Classifier(tf.Module):
    """Token ids and mask (rows, tokens) -> logits (rows, outputs), float32; with a seed, after dropout.

    Unpooled, they are those of each token, (rows, tokens, outputs).
    """

    def __init__(self, encoder: Encoder, pooling: str | None, kernel: np.ndarray, bias: np.ndarray):
        super().__init__("classifier")
        self.encoder, self.pooling = encoder, pooling
        self.head = Dense({"head/kernel": kernel, "head/bias": bias}, "head")

    def __call__(self, ids: tf.Tensor, mask: tf.Tensor, rates: Dropout = NO_DROPOUT, seed: Seed = None) -> tf.Tensor:
        of_encoder, of_head = seeds_of(seed, 2)
        hidden = tf.cast(self.encoder(ids, mask, rates, of_encoder), tf.float32)
        if self.pooling == "mean":
            share = tf.cast(mask, tf.float32)[:, :, None]
            hidden = tf.reduce_sum(hidden * share, 1) / tf.reduce_sum(share, 1)
        elif self.pooling == "cls":
            hidden = hidden[:, 0]
        return self.head(dropout(hidden, rates.hidden, of_head))

    @tf.function(input_signature=[TOKENS, TOKENS])
    def logits(self, ids: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        """Return the logits, by one graph for all shapes."""
        return self(ids, mask)


def build(job: Job) -> Classifier:
    """Return the encoder with a new head."""
    encoder = encoder_of(job.weights, job.precision, job.settings["freeze_word_embeddings"])
    shape = encoder.positions.shape[1], job.outputs
    kernel = tf.random.stateless_normal(shape, (job.seed, 0), stddev=0.02).numpy()
    return Classifier(encoder, job.pooling, kernel, np.zeros(job.outputs, np.float32))


def save(model: Classifier, job: Job) -> None:
    """Write the Hugging Face folder."""
    head = model.head
    encoder = from_ours(model.encoder.bert.layers, named(model.encoder))
    weights.write(job, encoder, {"weight": head.kernel.numpy().T, "bias": head.bias.numpy()})


def saved(job: Job) -> Classifier:
    """Return what stands in the Hugging Face folder that a recipe has left."""
    weight, bias = weights.read_head(job.model)
    return Classifier(encoder_of(job.model, job.precision), job.pooling, weight.T, bias)
