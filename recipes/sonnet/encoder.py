"""BERT (Devlin et al. 2018, arXiv 1810.04805) as Sonnet modules; RoBERTa's differ in positions.

Variables come with the first call, as in all of Sonnet: the modules are given what values these take then.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import sonnet as snt
import tensorflow as tf

from recipes.contract.job import Dropout
from recipes.on_tensorflow.dropout import Seed, dropout, seeds_of
from recipes.weights import Weights
from recipes.weights.bert import Bert, read

ACTIVATIONS = {
    "gelu": tf.nn.gelu,
    "gelu_new": partial(tf.nn.gelu, approximate=True),
    "gelu_pytorch_tanh": partial(tf.nn.gelu, approximate=True),
    "relu": tf.nn.relu,
}
PRECISIONS = [tf.float32, tf.bfloat16]  # that a layer can compute in; it gives float32 back from either


class Encoder(snt.Module):
    """Token ids and mask (rows, tokens) -> the last hidden states (rows, tokens, hidden), float32."""

    def __init__(self, bert: Bert, values: Weights, rates: Dropout, words_frozen: bool):
        super().__init__("encoder")
        self.bert, self.rate = bert, rates.hidden
        self.words = embed(values, "words", not words_frozen)
        self.positions, self.segments = embed(values, "positions"), embed(values, "segments")
        self.norm = layer_norm(values, "norm", bert.epsilon)
        self.layers = [Layer(bert, values, rates, number) for number in range(bert.layers)]

    def __call__(self, ids: tf.Tensor, mask: tf.Tensor, seed: Seed = None) -> tf.Tensor:
        seeds = seeds_of(seed, 1 + 3 * self.bert.layers)
        positions = self.positions(self.bert.first_position + tf.range(tf.shape(ids)[1]))
        x = self.norm(self.words(ids) + self.segments(tf.zeros_like(ids)) + positions)
        shape, x = tf.shape(x), tf.reshape(x, (-1, x.shape[2]))  # by token: of rows a product would keep a kernel each
        x = dropout(x, self.rate, next(seeds))
        for layer in self.layers:
            x = layer(x, mask, [next(seeds), next(seeds), next(seeds)])
        return tf.reshape(x, shape)


class Layer(snt.Module):
    """Attention and a network of one hidden layer, each added to what it is given, then LayerNorm."""

    def __init__(self, bert: Bert, values: Weights, rates: Dropout, number: int):
        super().__init__(f"layer_{number}")
        self.heads, self.activation, self.rates = bert.heads, ACTIVATIONS[bert.activation], rates
        path = f"layers/{number}"
        self.query, self.key, self.value = (linear(values, f"{path}/{name}") for name in ("query", "key", "value"))
        self.attention_output = linear(values, f"{path}/attention_output")
        self.attention_norm = layer_norm(values, f"{path}/attention_norm", bert.epsilon)
        self.inner, self.output = linear(values, f"{path}/inner"), linear(values, f"{path}/output")
        self.output_norm = layer_norm(values, f"{path}/output_norm", bert.epsilon)

    def __call__(self, x: tf.Tensor, mask: tf.Tensor, seeds: list[Seed]) -> tf.Tensor:
        attended = self.attention(x, mask, seeds[0])
        x = self.attention_norm(x + dropout(attended, self.rates.hidden, seeds[1]))
        return self.output_norm(x + dropout(self.forward(x), self.rates.hidden, seeds[2]))

    @snt.mixed_precision.modes(PRECISIONS)
    def attention(self, x: tf.Tensor, mask: tf.Tensor, seed: Seed) -> tf.Tensor:
        """Return softmax(q k^T / sqrt(size of a head)) v of each head (Vaswani et al. 2017), projected."""
        rows, tokens, size = tf.shape(mask)[0], tf.shape(mask)[1], x.shape[1] // self.heads

        def heads(values: tf.Tensor) -> tf.Tensor:
            return tf.transpose(tf.reshape(values, (rows, tokens, self.heads, size)), (0, 2, 1, 3))

        q, k, v = heads(self.query(x)), heads(self.key(x)), heads(self.value(x))
        scores = tf.cast(tf.matmul(q, k, transpose_b=True), tf.float32) / size**0.5
        shares = tf.nn.softmax(tf.where(mask[:, tf.newaxis, tf.newaxis, :] == 1, scores, tf.float32.min))
        attended = tf.matmul(dropout(tf.cast(shares, x.dtype), self.rates.attention, seed), v)
        return self.attention_output(tf.reshape(tf.transpose(attended, (0, 2, 1, 3)), tf.shape(x)))

    @snt.mixed_precision.modes(PRECISIONS)
    def forward(self, x: tf.Tensor) -> tf.Tensor:
        """Return the network's output for each token."""
        return self.output(self.activation(self.inner(x)))


def embed(values: Weights, path: str, trainable: bool = True) -> snt.Embed:
    return snt.Embed(existing_vocab=values.pop(path), densify_gradients=True, trainable=trainable, name=path)


def linear(values: Weights, path: str) -> snt.Linear:
    kernel, bias = given(values, f"{path}/kernel"), given(values, f"{path}/bias")
    return snt.Linear(len(values[f"{path}/bias"]), w_init=kernel, b_init=bias, name=path.rpartition("/")[2])


def layer_norm(values: Weights, path: str, epsilon: float) -> snt.LayerNorm:
    scale, offset = given(values, f"{path}/scale"), given(values, f"{path}/bias")
    return snt.LayerNorm(-1, True, True, epsilon, scale, offset, name=path.rpartition("/")[2])


def given(values: Weights, path: str) -> Callable[[list[int], tf.DType], tf.Tensor]:
    """Return the initializer that takes an array out of `values`: where there is a variable, it is not kept too."""
    return lambda shape, dtype: tf.constant(values.pop(path), dtype, shape)


def encoder_of(folder: Path, precision: str, rates: Dropout, words_frozen: bool = False) -> Encoder:
    """Return the encoder in a Hugging Face folder, with its variables; `words_frozen`: word embeddings are not trained.

    It settles Sonnet's precision, which the first call, in float32, has to know of.
    """
    bert, values = read(folder, precision, ACTIVATIONS)
    snt.mixed_precision.enable(tf.bfloat16 if bert.dtype == "bfloat16" else None)
    encoder = Encoder(bert, values, rates, words_frozen)
    encoder(tf.zeros((1, 1), tf.int32), tf.ones((1, 1), tf.int32))
    return encoder
