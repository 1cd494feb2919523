"""The loss of each text, or token, by the job's task: labels, what the head gives (…, outputs) -> float32 (…,)."""

import tensorflow as tf


def binary_cross_entropy(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Return the mean over a text's names."""
    return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(tf.cast(labels, logits.dtype), logits), -1)


LOSSES = {
    "classification": tf.nn.sparse_softmax_cross_entropy_with_logits,
    "multilabel": binary_cross_entropy,
    "tagging": tf.nn.sparse_softmax_cross_entropy_with_logits,
    "regression": lambda labels, outputs: tf.math.squared_difference(labels, outputs[:, 0]),
}
