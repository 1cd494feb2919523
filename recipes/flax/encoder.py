"""BERT (Devlin et al. 2018, arXiv 1810.04805) of NNX's own layers; RoBERTa's differ in positions."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from recipes.contract.job import Dropout
from recipes.flax.weights import from_nnx, to_nnx
from recipes.on_jax.functions import ACTIVATIONS
from recipes.on_jax.texts import Texts
from recipes.weights import Weights
from recipes.weights.bert import Bert, read


class Layer(nnx.Module):
    """Attention, then two dense layers; each is added to what came in, and the sum normalised."""

    def __init__(self, bert: Bert, hidden: int, inner: int, rates: Dropout, *, rngs: nnx.Rngs):
        dense = partial(nnx.Linear, dtype=bert.dtype, rngs=rngs)
        self.attention = nnx.MultiHeadAttention(
            bert.heads, hidden, dtype=bert.dtype, dropout_rate=rates.attention, broadcast_dropout=False,
            decode=False, keep_rngs=False, rngs=rngs,
        )  # fmt: skip
        self.attention_norm = layer_norm(bert, hidden, rngs)
        self.inner, self.output = dense(hidden, inner), dense(inner, hidden)
        self.output_norm = layer_norm(bert, hidden, rngs)
        self.dropout = nnx.Dropout(rates.hidden)
        self.activation = ACTIVATIONS[bert.activation]

    def __call__(self, x: jax.Array, mask: jax.Array, rngs: nnx.Rngs | None = None) -> jax.Array:
        x = self.attention_norm(x + self.dropout(self.attention(x, mask=mask, rngs=rngs), rngs=rngs))
        inner = self.activation(self.inner(x))
        return self.output_norm(x + self.dropout(self.output(inner), rngs=rngs))


class Encoder(nnx.Module):
    """Texts (rows, tokens) -> the last hidden states (rows, tokens, hidden), in `bert.dtype`.

    `rngs` is what dropout draws from; nnx.view(encoder, deterministic=True) draws nothing and needs none.
    `sizes`: rows of the three tables, and the width of hidden states and of the dense layer between.
    """

    def __init__(self, bert: Bert, sizes: Mapping[str, int], rates: Dropout, *, rngs: nnx.Rngs):
        self.bert, hidden = bert, sizes["hidden"]
        self.words, self.positions, self.segments = (
            nnx.Embed(sizes[name], hidden, rngs=rngs) for name in ("words", "positions", "segments")
        )
        self.norm = layer_norm(bert, hidden, rngs)
        self.dropout = nnx.Dropout(rates.hidden)
        self.layers = nnx.List([Layer(bert, hidden, sizes["inner"], rates, rngs=rngs) for _ in range(bert.layers)])

    def __call__(self, texts: Texts, rngs: nnx.Rngs | None = None) -> jax.Array:
        positions = self.bert.first_position + texts.positions
        x = self.words(texts.ids) + self.positions(positions) + self.segments(jnp.zeros(1, jnp.int32))
        x = self.dropout(self.norm(x), rngs=rngs)
        for layer in self.layers:
            x = layer(x, texts.attended[:, None], rngs)
        return x


def layer_norm(bert: Bert, size: int, rngs: nnx.Rngs) -> nnx.LayerNorm:
    """Return the layer; the fast variance, E[x²] - E[x]², is 1e-6 from what other libraries compute."""
    return nnx.LayerNorm(size, epsilon=bert.epsilon, dtype=bert.dtype, use_fast_variance=False, rngs=rngs)


def encoder_of(folder: Path, precision: str, rates: Dropout) -> Encoder:
    """Return the encoder in a Hugging Face folder, its weights in float32."""
    bert, values = read(folder, precision, ACTIVATIONS)
    sizes = {name: len(values[name]) for name in ("words", "positions", "segments")}
    sizes |= {"hidden": values["words"].shape[1], "inner": values["layers/0/inner/bias"].size}
    named = to_nnx(bert, values)
    empty = nnx.eval_shape(lambda: Encoder(bert, sizes, rates, rngs=nnx.Rngs(0)))  # shapes alone: nothing is drawn
    graph, state = nnx.split(empty)
    return nnx.merge(graph, nnx.map_state(lambda path, param: param.replace(jnp.asarray(named[joined(path)])), state))


def weights_of(encoder: Encoder) -> Weights:
    """Return an encoder's weights by AutoModel's names."""
    state = nnx.to_flat_state(nnx.state(encoder, nnx.Param))
    return from_nnx(encoder.bert, {joined(path): np.asarray(param[...]) for path, param in state})


def joined(path: tuple[Any, ...]) -> str:
    """Return a path of NNX as one word: `layers/0/inner/kernel`."""
    return "/".join(map(str, path))
