"""Keras' AdamW by TensorFlow's own kernel, where it would go over all weights some twenty times a step."""

import keras
from keras import ops

from recipes.contract.job import Job
from recipes.keras.devices import BACKEND

if BACKEND == "tensorflow":
    import tensorflow as tf


class AdamW(keras.optimizers.AdamW):
    """Keras', whose formula of Adam is that of an operation of TensorFlow; JAX makes one program of it anyway."""

    def apply(self, grads, trainable_variables=None):
        if BACKEND == "tensorflow":  # it lists an embedding's gradient token by token, which Keras squares unsummed
            grads = [tf.convert_to_tensor(grad) for grad in grads]
        super().apply(grads, trainable_variables)

    def update_step(self, gradient, variable, learning_rate):
        if BACKEND != "tensorflow":
            super().update_step(gradient, variable, learning_rate)
            return
        index, step = self._get_variable_index(variable), ops.cast(self.iterations + 1, "float32")
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=ops.power(self.beta_1, step),
            beta2_power=ops.power(self.beta_2, step),
            lr=learning_rate,
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=gradient,
        )


def scaled(job: Job, optimizer: keras.optimizers.Optimizer) -> keras.optimizers.Optimizer:
    """Return the optimizer; with fp16, of a loss so much larger that the small gradients are not 0 in it."""
    return keras.optimizers.LossScaleOptimizer(optimizer) if job.precision == "fp16" else optimizer
