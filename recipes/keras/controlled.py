"""What `protocol=controlled` changes of the recipe: head, batches, torch's AdamW, transformers' linear schedule."""

import keras
import numpy as np
from keras import ops

from recipes.contract.job import Batch, Hidden, Job, Predict
from recipes.contract.schedule import warmup_steps
from recipes.keras import callbacks, optimizer, recipe
from recipes.keras.data import given, pad
from recipes.keras.devices import BACKEND
from recipes.keras.encoder import encoder_of
from recipes.keras.recipe import load

if BACKEND == "tensorflow":
    import tensorflow as tf

__all__ = ["finetune", "hidden_states", "load"]


def finetune(job: Job) -> Predict:
    return recipe.finetune(job, build=build, batches=given, adamw=adamw, report=Report)


def build(job: Job, encoder: keras.Model) -> keras.Model:
    """Return the encoder with the job's head."""
    model = recipe.build(job, encoder)
    weight, bias = job.head()
    model.get_layer("head").set_weights([weight.T, bias])
    return model


class Report(callbacks.Report):
    """It knows the norm of the gradient too."""

    def gradient_norm(self) -> float:
        optimizer = self.model.optimizer
        return float(ops.convert_to_numpy(getattr(optimizer, "inner_optimizer", optimizer).norm))


def adamw(job: Job, steps: int) -> keras.optimizers.Optimizer:
    """Return the optimizer; no decay on biases and LayerNorm."""
    found = AdamW(WarmupThenLinear(job, steps), job)
    found.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer.scaled(job, found)


class AdamW(optimizer.AdamW):
    """Keras' AdamW with epsilon where torch adds it, a rate of its own for the head, and the gradient's norm kept."""

    def __init__(self, schedule, job: Job):
        settings, accumulate = job.settings, job.train.accumulate
        decay, clip = settings["weight_decay"], settings["max_grad_norm"]
        several = accumulate if accumulate > 1 else None
        super().__init__(
            schedule, decay, *settings["betas"], settings["epsilon"],
            global_clipnorm=clip, gradient_accumulation_steps=several,
        )  # fmt: skip
        self.head_factor = settings["head_learning_rate"] / settings["learning_rate"]
        self.plain_epsilon = settings["epsilon"]

    def build(self, variables):
        super().build(variables)
        self.norm = self.add_variable((), name="norm")

    def apply(self, grads, trainable_variables=None):
        # Epsilon is added after the bias correction, as torch does; Keras adds it before.
        unbiased = 1 - ops.power(self.beta_2, ops.cast(self.iterations + 1, "float32"))
        self.epsilon = self.plain_epsilon * ops.sqrt(unbiased)
        if BACKEND == "tensorflow":  # of several devices the sum is clipped; Keras would clip the gradient of each
            grads = [tf.convert_to_tensor(grad) for grad in grads]
            grads = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, grads)
        super().apply(grads, trainable_variables)

    def _clip_gradients(self, grads):  # those of a whole step come by here alone
        self.norm.assign(ops.sqrt(sum(ops.sum(ops.square(grad)) for grad in grads)))
        return super()._clip_gradients(grads)

    def _all_reduce_sum_gradients(self, grads_and_vars):  # TensorFlow's: it is done above
        return grads_and_vars

    def update_step(self, gradient, variable, learning_rate):
        of_head = self._trainable_variables[self._get_variable_index(variable)].path.startswith("head/")
        super().update_step(gradient, variable, learning_rate * (self.head_factor if of_head else 1))


class WarmupThenLinear(keras.optimizers.schedules.LearningRateSchedule):
    """From 0 up to the rate, then down to 0, both linearly, in optimiser steps; Keras counts batches."""

    def __init__(self, job: Job, steps: int):
        self.rate, self.accumulate = job.settings["learning_rate"], job.train.accumulate
        self.rising, self.steps = warmup_steps(job.settings["warmup"], steps), steps

    def __call__(self, batch):
        step = ops.cast(batch // self.accumulate, "float32")
        falling = (self.steps - step) / (self.steps - self.rising)
        return self.rate * ops.where(step < self.rising, step / max(1, self.rising), falling)


def hidden_states(job: Job) -> Hidden:
    """Return the encoder before training, as a function."""
    encoder, config = encoder_of(job, job.weights)

    def hidden(batch: Batch, training: bool) -> np.ndarray:
        inputs = pad(batch.token_ids, config["pad_token_id"])
        segments = np.zeros_like(inputs["token_ids"])
        return ops.convert_to_numpy(encoder({**inputs, "segment_ids": segments}, training=training))

    return hidden
