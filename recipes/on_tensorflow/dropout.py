"""Dropout whose draws follow from a seed, so that a training that goes on draws what it would have drawn."""

from collections.abc import Iterator
from typing import TypeAlias

import tensorflow as tf

Seed: TypeAlias = tf.Tensor | None  # two whole numbers; None: nothing is drawn, as in predicting


def seed_of(seed: int, *numbers: tf.Tensor | int) -> tf.Tensor:
    """Return a seed that follows from the job's and from what distinguishes the draw: step, batch, device."""
    state = tf.constant([seed, 0], tf.int64)
    for number in numbers:
        state = tf.random.experimental.stateless_fold_in(state, tf.cast(number, tf.int64))
    return state


def seeds_of(seed: Seed, number: int) -> Iterator[Seed]:
    """Return a seed for each of so many draws; None for each, where nothing is drawn."""
    if seed is None:
        return iter([None] * number)
    return iter(tf.unstack(tf.random.experimental.stateless_split(seed, number)))


def dropout(x: tf.Tensor, rate: float, seed: Seed) -> tf.Tensor:
    """Return `x` with a share of its numbers at 0 and the others as much larger; as it is, where nothing is drawn."""
    if seed is None or rate == 0:
        return x
    return tf.nn.experimental.stateless_dropout(x, rate, seed)
