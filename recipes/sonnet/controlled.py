"""What `protocol=controlled` changes of the recipe: the head, the batches, AdamW's decay."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from recipes.contract.job import Batch, Hidden, Job, Predict
from recipes.on_tensorflow.batches import given, pad
from recipes.on_tensorflow.dropout import seed_of
from recipes.sonnet import model, recipe
from recipes.sonnet.encoder import encoder_of
from recipes.sonnet.optimizer import Adam
from recipes.sonnet.recipe import load

__all__ = ["finetune", "hidden_states", "load"]


def finetune(job: Job) -> Predict:
    return recipe.finetune(job, build=build, batches=given, adam=AdamW)


def build(job: Job) -> model.Classifier:
    """Return the model with the job's head."""
    found, (weight, bias) = model.build(job), job.head()
    found.head.w.assign(weight.T)
    found.head.b.assign(bias)
    return found


class AdamW(Adam):
    """AdamW (Loshchilov and Hutter 2019): no decay on biases and LayerNorm, which are vectors."""

    def __init__(self, job: Job, rate: float, parameters: Sequence[tf.Variable]):
        super().__init__(job, rate, parameters)
        self.decay = job.settings["weight_decay"]

    def apply(self, updates: Sequence[tf.Tensor], parameters: Sequence[tf.Variable]) -> None:
        for one in parameters:
            if one.shape.rank > 1:
                one.assign_sub(self.learning_rate * self.decay * one)
        super().apply(updates, parameters)


def hidden_states(job: Job) -> Hidden:
    """Return the encoder before training, as a function."""
    encoder = encoder_of(job.weights, job.precision, job.dropout)

    def hidden(batch: Batch, training: bool) -> np.ndarray:
        ids, mask = pad(batch.token_ids, encoder.bert.padding)
        return encoder(ids, mask, seed_of(job.seed) if training else None).numpy()

    return hidden
