"""The classifier, an encoder and a head: built, saved as a Hugging Face folder, read from it."""

import sonnet as snt
import tensorflow as tf

from recipes import weights
from recipes.contract.job import Dropout, Job
from recipes.on_tensorflow.dropout import Seed, dropout, seeds_of
from recipes.sonnet.encoder import Encoder, encoder_of, linear
from recipes.sonnet.weights import named
from recipes.weights.bert import from_ours

TOKENS = tf.TensorSpec((None, None), tf.int32)


class Classifier(snt.Module):
    """Token ids and mask (rows, tokens) -> logits (rows, outputs), float32; with a seed, after dropout.

    Unpooled, they are those of each token, (rows, tokens, outputs).
    """

    def __init__(self, encoder: Encoder, head: snt.Linear, pooling: str | None):
        super().__init__("classifier")
        self.encoder, self.head, self.pooling = encoder, head, pooling
        self(*[tf.ones((1, 1), tf.int32)] * 2)  # the head has its variables from here on

    def __call__(self, ids: tf.Tensor, mask: tf.Tensor, seed: Seed = None) -> tf.Tensor:
        of_encoder, of_head = seeds_of(seed, 2)
        hidden = self.encoder(ids, mask, of_encoder)
        if self.pooling == "mean":
            share = tf.cast(mask, tf.float32)[:, :, tf.newaxis]
            hidden = tf.reduce_sum(hidden * share, 1) / tf.reduce_sum(share, 1)
        elif self.pooling == "cls":
            hidden = hidden[:, 0]
        return self.head(dropout(hidden, self.encoder.rate, of_head))

    @tf.function(input_signature=[TOKENS, TOKENS])
    def logits(self, ids: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        """Return the logits, by one graph for all shapes."""
        return self(ids, mask)


def build(job: Job) -> Classifier:
    """Return the encoder with a new head."""
    encoder = encoder_of(job.weights, job.precision, job.dropout, job.settings["freeze_word_embeddings"])
    head = snt.Linear(job.outputs, w_init=snt.initializers.TruncatedNormal(stddev=0.02, seed=job.seed), name="head")
    return Classifier(encoder, head, job.pooling)


def save(model: Classifier, job: Job) -> None:
    """Write the Hugging Face folder."""
    encoder = from_ours(model.encoder.bert.layers, named(model.encoder))
    weights.write(job, encoder, {"weight": model.head.w.numpy().T, "bias": model.head.b.numpy()})


def saved(job: Job) -> Classifier:
    """Return what stands in the Hugging Face folder that a recipe has left."""
    weight, bias = weights.read_head(job.model)
    head = linear({"head/kernel": weight.T, "head/bias": bias}, "head")
    return Classifier(encoder_of(job.model, job.precision, Dropout()), head, job.pooling)
