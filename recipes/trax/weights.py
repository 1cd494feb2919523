"""In which order the weights of Trax's layers come, by the names of recipes/weights/bert.py.

Trax has no names: the weights of a model are tuples in tuples, a tuple for each combinator, in the order of its layers.
"""

from collections.abc import Sequence

import jax.numpy as jnp
from trax import fastmath
from trax import layers as tl

from recipes.weights import Weights

DENSE, NORM = ("kernel", "bias"), ("scale", "bias")
LAYER = {
    "query": DENSE,
    "key": DENSE,
    "value": DENSE,
    "attention_output": DENSE,
    "attention_norm": NORM,
    "inner": DENSE,
    "output": DENSE,
    "output_norm": NORM,
}
HEAD = ["head/kernel", "head/bias"]


def encoder_names(layers: int, words_frozen: bool = False) -> list[str]:
    """Return the names of an encoder's weights in their order; words that are frozen are none of them."""
    tables = ["positions", "segments"] if words_frozen else ["words", "positions", "segments"]
    norm = [f"norm/{end}" for end in NORM]
    return (
        tables
        + norm
        + [f"layers/{layer}/{name}/{end}" for layer in range(layers) for name, ends in LAYER.items() for end in ends]
    )


def give(model: tl.Serial, names: Sequence[str], values: Weights) -> None:
    """Give the weights of a model their values by name, on the device: as numpy's, each call would take them there."""
    arrays = [jnp.asarray(values[name]) for name in names]
    model.weights, rest = fastmath.tree_unflatten(arrays, model.weights)
    if rest:
        raise ValueError(f"the model has {len(names) - len(rest)} weights, and not {len(names)}")


def named(model: tl.Serial, names: Sequence[str]) -> Weights:
    """Return the weights of a model by name."""
    return dict(zip(names, fastmath.tree_flatten(model.weights), strict=True))
