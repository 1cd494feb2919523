"""What `protocol=controlled` changes of the recipe: the head, the batches. Its AdamW and its schedule are torch's."""

import numpy as np

from recipes.contract.job import Batch, Hidden, Job, Predict
from recipes.on_tensorflow.batches import given, pad
from recipes.on_tensorflow.dropout import seed_of
from recipes.tensorflow import model, recipe
from recipes.tensorflow.encoder import encoder_of
from recipes.tensorflow.recipe import load

__all__ = ["finetune", "hidden_states", "load"]


def finetune(job: Job) -> Predict:
    return recipe.finetune(job, build=build, batches=given)


def build(job: Job) -> model.Classifier:
    """Return the model with the job's head."""
    found, (weight, bias) = model.build(job), job.head()
    found.head.kernel.assign(weight.T)
    found.head.bias.assign(bias)
    return found


def hidden_states(job: Job) -> Hidden:
    """Return the encoder before training, as a function."""
    encoder = encoder_of(job.weights, job.precision)

    def hidden(batch: Batch, training: bool) -> np.ndarray:
        ids, mask = pad(batch.token_ids, encoder.bert.padding)
        return encoder(ids, mask, job.dropout, seed_of(job.seed) if training else None).numpy()

    return hidden
