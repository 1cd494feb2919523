"""AdamW (Loshchilov and Hutter 2019), of TensorFlow's own operations: without Keras it has no optimiser."""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf


class AdamW(tf.Module):
    """Adam's moments of each variable that is trained; no decay on biases and LayerNorm, which are vectors.

    The head has a rate of its own.
    """

    def __init__(self, settings: Mapping[str, Any], model: tf.Module):
        super().__init__("adamw")
        self.settings, self.trained = settings, model.trainable_variables
        self.first = [tf.Variable(tf.zeros_like(one), trainable=False) for one in self.trained]
        self.second = [tf.Variable(tf.zeros_like(one), trainable=False) for one in self.trained]

    def apply(self, gradient: Sequence[tf.Tensor], step: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
        """Move the variables in step `step`, counted from 1, at a share of their rates; return the gradient's norm."""
        settings, (beta1, beta2) = self.settings, self.settings["betas"]
        gradient, norm = tf.clip_by_global_norm(gradient, settings["max_grad_norm"])
        power1, power2 = beta1 ** tf.cast(step, tf.float32), beta2 ** tf.cast(step, tf.float32)
        for one, first, second, slope in zip(self.trained, self.first, self.second, gradient, strict=True):
            rate = share * settings["head_learning_rate" if one.name.startswith("head") else "learning_rate"]
            if one.shape.rank > 1:
                tf.raw_ops.AssignSubVariableOp(resource=one.handle, value=rate * settings["weight_decay"] * one)
            tf.raw_ops.ResourceApplyAdam(
                var=one.handle,
                m=first.handle,
                v=second.handle,
                beta1_power=power1,
                beta2_power=power2,
                lr=rate,
                beta1=beta1,
                beta2=beta2,
                epsilon=settings["epsilon"] * tf.sqrt(1 - power2),  # it adds it before the bias correction
                grad=slope,
            )
        return norm
