"""BERT (Devlin et al. 2018, arXiv 1810.04805) as modules of TensorFlow's own operations; RoBERTa's differ in positions.

A variable's name is its path in recipes/weights/bert.py.
"""

from functools import partial
from pathlib import Path

import numpy as np
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
NO_DROPOUT = Dropout()


class Encoder(tf.Module):
    """Token ids and mask (rows, tokens) -> the last hidden states (rows, tokens, hidden) in the dtype computed in."""

    def __init__(self, bert: Bert, values: Weights, words_frozen: bool = False):
        super().__init__("encoder")
        self.bert, self.words = bert, variable(values, "words", trainable=not words_frozen)
        self.positions, self.segments = variable(values, "positions"), variable(values, "segments")
        self.norm = LayerNorm(values, "norm", bert.epsilon)
        self.layers = [Layer(bert, values, f"layers/{number}") for number in range(bert.layers)]

    def __call__(self, ids: tf.Tensor, mask: tf.Tensor, rates: Dropout = NO_DROPOUT, seed: Seed = None) -> tf.Tensor:
        seeds = seeds_of(seed, 1 + 3 * self.bert.layers)
        first = self.bert.first_position
        positions = self.positions[first : first + tf.shape(ids)[1]]
        x = self.norm(tf.gather(self.words, ids) + self.segments[0] + positions)
        x = dropout(tf.cast(x, self.bert.dtype), rates.hidden, next(seeds))
        unseen = tf.where(mask[:, None, None, :] == 1, 0.0, tf.float32.min)
        for layer in self.layers:
            x = layer(x, unseen, rates, [next(seeds), next(seeds), next(seeds)])
        return x


class Layer(tf.Module):
    """Attention and a network of one hidden layer, each added to what it is given, then LayerNorm."""

    def __init__(self, bert: Bert, values: Weights, path: str):
        super().__init__()
        self.query, self.key, self.value = (Dense(values, f"{path}/{name}") for name in ("query", "key", "value"))
        self.attention_output = Dense(values, f"{path}/attention_output")
        self.attention_norm = LayerNorm(values, f"{path}/attention_norm", bert.epsilon)
        self.inner, self.output = Dense(values, f"{path}/inner"), Dense(values, f"{path}/output")
        self.output_norm = LayerNorm(values, f"{path}/output_norm", bert.epsilon)
        self.heads, self.activation = bert.heads, ACTIVATIONS[bert.activation]

    def __call__(self, x: tf.Tensor, unseen: tf.Tensor, rates: Dropout, seeds: list[Seed]) -> tf.Tensor:
        attended = self.attention_output(self.attention(x, unseen, rates.attention, seeds[0]))
        x = self.attention_norm(x + dropout(attended, rates.hidden, seeds[1]))
        inner = self.activation(self.inner(x))
        return self.output_norm(x + dropout(self.output(inner), rates.hidden, seeds[2]))

    def attention(self, x: tf.Tensor, unseen: tf.Tensor, rate: float, seed: Seed) -> tf.Tensor:
        """Return softmax(q k^T / sqrt(size of a head)) v of each head (Vaswani et al. 2017), side by side."""
        rows, tokens, hidden = tf.shape(x)[0], tf.shape(x)[1], x.shape[2]
        size = hidden // self.heads

        def heads(values: tf.Tensor) -> tf.Tensor:
            return tf.transpose(tf.reshape(values, (rows, tokens, self.heads, size)), (0, 2, 1, 3))

        q, k, v = (heads(dense(x)) for dense in (self.query, self.key, self.value))
        scores = tf.cast(tf.matmul(q, k, transpose_b=True), tf.float32) / size**0.5
        shares = dropout(tf.cast(tf.nn.softmax(scores + unseen), x.dtype), rate, seed)
        return tf.reshape(tf.transpose(tf.matmul(shares, v), (0, 2, 1, 3)), (rows, tokens, hidden))


class Dense(tf.Module):
    """x W + b, as one product of all tokens: by `tf.matmul` the kernel's gradient would be one for each row."""

    def __init__(self, values: Weights, path: str):
        super().__init__()
        self.kernel, self.bias = (variable(values, f"{path}/{name}") for name in ("kernel", "bias"))

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        return tf.tensordot(x, tf.cast(self.kernel, x.dtype), 1) + tf.cast(self.bias, x.dtype)


class LayerNorm(tf.Module):
    """Each token's numbers at mean 0 and variance 1, then scaled and moved; in float32."""

    def __init__(self, values: Weights, path: str, epsilon: float):
        super().__init__()
        self.scale, self.bias = (variable(values, f"{path}/{name}") for name in ("scale", "bias"))
        self.epsilon = epsilon

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        wide = tf.cast(x, tf.float32)
        mean, variance = tf.nn.moments(wide, -1, keepdims=True)
        normal = (wide - mean) * tf.math.rsqrt(variance + self.epsilon)
        return tf.cast(normal * self.scale + self.bias, x.dtype)


def variable(values: Weights, path: str, trainable: bool = True) -> tf.Variable:
    return tf.Variable(values[path], trainable, name=path)


def named(module: tf.Module) -> dict[str, np.ndarray]:
    """Return the numbers of a module's variables by their names."""
    return {one.name.removesuffix(":0"): one.numpy() for one in module.variables}


def encoder_of(folder: Path, precision: str, words_frozen: bool = False) -> Encoder:
    """Return the encoder in a Hugging Face folder; `words_frozen`: its word embeddings are not trained."""
    return Encoder(*read(folder, precision, ACTIVATIONS), words_frozen)
