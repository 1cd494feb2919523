"""BERT (Devlin et al. 2018, arXiv 1810.04805) as pure functions of a tree of arrays; RoBERTa's differ in positions.

The names in the tree are those of recipes/weights/bert.py; its "layers" are a list.
"""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp

from recipes.contract.job import Dropout
from recipes.jax.trees import nested
from recipes.on_jax.functions import ACTIVATIONS
from recipes.on_jax.texts import Texts
from recipes.weights.bert import Bert, read

NO_DROPOUT = Dropout()
Key: TypeAlias = jax.Array | None  # of random numbers; None: nothing is drawn, as in predicting


def encoder_of(folder: Path, precision: str) -> tuple[dict[str, Any], Bert]:
    """Return the encoder in a Hugging Face folder: its tree of float32 arrays, and what these do not show."""
    bert, values = read(folder, precision, ACTIVATIONS)
    return nested(values), bert


def encode(
    params: Mapping[str, Any], bert: Bert, texts: Texts, rates: Dropout = NO_DROPOUT, key: Key = None
) -> jax.Array:
    """Texts (rows, tokens) -> the last hidden states (rows, tokens, hidden) in the encoder's dtype."""
    keys, norm = keys_of(key, 1 + 3 * bert.layers), partial(layer_norm, epsilon=bert.epsilon)
    positions = params["positions"][bert.first_position + texts.positions]
    x = norm(params["norm"], params["words"][texts.ids] + params["segments"][0] + positions).astype(bert.dtype)
    x, attended = dropout(x, rates.hidden, next(keys)), texts.attended
    for layer in params["layers"]:
        mixed = dense(layer["attention_output"], attention(layer, bert, x, attended, rates.attention, next(keys)))
        x = norm(layer["attention_norm"], x + dropout(mixed, rates.hidden, next(keys)))
        inner = ACTIVATIONS[bert.activation](dense(layer["inner"], x))
        x = norm(layer["output_norm"], x + dropout(dense(layer["output"], inner), rates.hidden, next(keys)))
    return x


def attention(
    layer: Mapping[str, Any], bert: Bert, x: jax.Array, attended: jax.Array, rate: float, key: Key
) -> jax.Array:
    """Return softmax(q k^T / sqrt(size of a head)) v of each head (Vaswani et al. 2017), side by side."""
    split = (*x.shape[:2], bert.heads, -1)
    q, k, v = (dense(layer[name], x).reshape(split) for name in ("query", "key", "value"))
    scores = jnp.einsum("rqhs,rkhs->rhqk", q, k).astype(jnp.float32) / q.shape[-1] ** 0.5
    shares = jax.nn.softmax(jnp.where(attended[:, None], scores, jnp.finfo(jnp.float32).min))
    shares = dropout(shares.astype(x.dtype), rate, key)
    return jnp.einsum("rhqk,rkhs->rqhs", shares, v).reshape(x.shape)


def dense(layer: Mapping[str, jax.Array], x: jax.Array) -> jax.Array:
    return x @ layer["kernel"].astype(x.dtype) + layer["bias"].astype(x.dtype)


def layer_norm(layer: Mapping[str, jax.Array], x: jax.Array, epsilon: float) -> jax.Array:
    wide = x.astype(jnp.float32)
    centred = wide - wide.mean(-1, keepdims=True)
    normal = centred * jax.lax.rsqrt((centred**2).mean(-1, keepdims=True) + epsilon)
    return (normal * layer["scale"] + layer["bias"]).astype(x.dtype)


def dropout(x: jax.Array, rate: float, key: Key) -> jax.Array:
    """Return `x` with a share of its numbers at 0 and the others as much larger; as it is, where nothing is drawn."""
    if key is None or rate == 0:
        return x
    return jnp.where(jax.random.bernoulli(key, 1 - rate, x.shape), x / (1 - rate), 0).astype(x.dtype)


def keys_of(key: Key, number: int) -> Iterator[Key]:
    """Return a key for each of so many draws; None for each, where nothing is drawn."""
    return iter([None] * number if key is None else jax.random.split(key, number))
