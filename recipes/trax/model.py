"""The classifier, a Serial of Trax's layers: built, saved as a Hugging Face folder, read from it."""

import jax
import jax.numpy as jnp
import numpy as np
from trax import layers as tl

from recipes import weights
from recipes.contract.job import Job
from recipes.trax.encoder import ACTIVATIONS, TOKENS, encoder
from recipes.trax.weights import HEAD, encoder_names, give, named
from recipes.weights import Weights
from recipes.weights.bert import Bert, from_ours, read


def build(job: Job) -> tuple[Bert, Weights]:
    """Return what the encoder is, and all weights by name, those of the head new."""
    bert, values = read(job.weights, job.precision, ACTIVATIONS)
    size, draw = values["words"].shape[1], tl.RandomNormalInitializer(0.02)
    head = draw((size, job.outputs), jax.random.PRNGKey(job.seed))
    return bert, values | {"head/kernel": head, "head/bias": np.zeros(job.outputs, np.float32)}


def classifier(job: Job, bert: Bert, values: Weights, mode: str) -> tl.Serial:
    """Return the model from token ids and mask (rows, tokens) to logits, for `mode` train or eval."""
    frozen = job.settings.get("freeze_word_embeddings", False)  # an export has other settings, and trains nothing
    model = tl.Serial(
        tl.Select([0, 1, 1]),
        encoder(bert, values, job.dropout, mode, frozen),
        POOLINGS[job.pooling](),
        tl.Dropout(job.dropout.hidden, mode=mode),
        tl.Dense(job.outputs),
    )
    model.init(TOKENS, jax.random.PRNGKey(job.seed))
    give(model, encoder_names(bert.layers, frozen) + HEAD, values)
    return model


def masked_mean(x: jnp.ndarray, mask: jnp.ndarray) -> jnp.ndarray:
    return x.mean(1, where=mask[:, :, jnp.newaxis] == 1)


POOLINGS = {  # hidden states and mask -> what the head is applied to
    "mean": lambda: tl.Fn("MaskedMean", masked_mean),
    "cls": lambda: tl.Fn("First", lambda x, mask: x[:, 0]),
    None: lambda: tl.Select([0], n_in=2),
}


def save(model: tl.Serial, bert: Bert, values: Weights, job: Job) -> None:
    """Write the Hugging Face folder: the weights of a model, and what is frozen of `values`."""
    names = encoder_names(bert.layers, job.settings["freeze_word_embeddings"])
    trained = {name: np.asarray(array) for name, array in named(model, names + HEAD).items()}
    kernel, bias = (trained.pop(name) for name in HEAD)
    whole = {name: values[name] for name in encoder_names(bert.layers)} | trained
    weights.write(job, from_ours(bert.layers, whole), {"weight": kernel.T, "bias": bias})


def saved(job: Job) -> tuple[Bert, Weights]:
    """Return what stands in the Hugging Face folder that a recipe has left, as `build` does."""
    bert, values = read(job.model, job.precision, ACTIVATIONS)
    weight, bias = weights.read_head(job.model)
    return bert, values | {"head/kernel": weight.T, "head/bias": bias}


def class_losses() -> tl.Layer:
    """Return the layer from logits, classes and weights to the weighted mean loss, on all devices."""
    return tl.WeightedCategoryCrossEntropy()


def label_losses() -> tl.Layer:
    """Return that of several labels a text: of each whether it holds, two classes whose logits are 0 and its own.

    Trax's own BinaryCrossEntropy has no weights, and is infinite where it is sure and wrong.
    """

    def two_classes(logits: jnp.ndarray, labels: jnp.ndarray, weights: jnp.ndarray) -> tuple[jnp.ndarray, ...]:
        both = jnp.stack([jnp.zeros_like(logits), logits], -1)
        return both, labels, jnp.broadcast_to(weights[:, jnp.newaxis], labels.shape)

    return tl.Serial(tl.Fn("TwoClasses", two_classes, n_out=3), tl.WeightedCategoryCrossEntropy())


def number_losses() -> tl.Layer:
    """Return that of a number a text; Trax's own L2Loss divides by the weights of each device alone."""

    def squared(outputs: jnp.ndarray, numbers: jnp.ndarray, weights: jnp.ndarray) -> tuple[jnp.ndarray, ...]:
        return jax.device_count() * (outputs[:, 0] - numbers) ** 2, weights  # of several devices it takes the mean

    return tl.Serial(tl.Fn("SquaredErrors", squared, n_out=2), tl.WeightedSum())


LOSSES = {  # by the task
    "classification": class_losses,
    "multilabel": label_losses,
    "tagging": class_losses,
    "regression": number_losses,
}
