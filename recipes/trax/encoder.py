"""BERT (Devlin et al. 2018, arXiv 1810.04805) of Trax's layers and combinators; RoBERTa's differ in positions.

A layer takes what it needs from the top of a stack, and leaves there what it gives. After trax/models/transformer.py,
whose blocks normalize before attention, and trax/models/research/bert.py, which is of one size and reads no mask.
"""

import jax.numpy as jnp
from trax import layers as tl
from trax.shapes import ShapeDtype

from recipes.contract.job import Dropout
from recipes.weights import Weights
from recipes.weights.bert import Bert

ACTIVATIONS = {"gelu": tl.Gelu, "gelu_new": tl.FastGelu, "gelu_pytorch_tanh": tl.FastGelu, "relu": tl.Relu}
TOKENS = (ShapeDtype((1, 4), jnp.int32), ShapeDtype((1, 4), jnp.int32))  # ids and mask, to make weights for


def encoder(bert: Bert, values: Weights, rates: Dropout, mode: str, words_frozen: bool = False) -> list[tl.Layer]:
    """Return the layers from token ids and mask (rows, tokens) to the last hidden states (rows, tokens, hidden).

    `values` says how large they are. `mode`: train, with dropout, or eval.
    """
    size, inner = values["words"].shape[1], len(values["layers/0/inner/bias"])

    def dropout() -> tl.Layer:
        return tl.Dropout(rates.hidden, mode=mode)

    def norm() -> tl.Layer:
        return tl.LayerNorm(epsilon=bert.epsilon)

    def block() -> list[tl.Layer]:
        attention = tl.Attention(size, bert.heads, rates.attention, mode)
        forward = [tl.Dense(inner), ACTIVATIONS[bert.activation](), tl.Dense(size)]
        return [tl.Residual(attention, dropout()), norm(), tl.Residual(forward, dropout()), norm()]

    def positions(ids: jnp.ndarray) -> jnp.ndarray:
        return bert.first_position + jnp.arange(ids.shape[1])[jnp.newaxis]

    words = frozen(jnp.asarray(values["words"])) if words_frozen else tl.Embedding(*values["words"].shape)
    embeddings = tl.Branch(
        words,
        [tl.Fn("Positions", positions), tl.Embedding(*values["positions"].shape)],
        [tl.Fn("FirstSegment", lambda ids: jnp.zeros((1, 1), jnp.int32)), tl.Embedding(*values["segments"].shape)],
    )
    return [
        tl.Parallel([embeddings, tl.Add(), tl.Add(), norm(), dropout()], tl.PaddingMask()),
        *[block() for _ in range(bert.layers)],
        tl.Select([0], n_in=2),  # the mask has been of use
    ]


def frozen(table: jnp.ndarray) -> tl.Layer:
    """Return an embedding that Trax does not train: a constant, for state is what a step gives back, copied whole."""
    return tl.Fn("Frozen", lambda ids: jnp.take(table, ids, axis=0))
