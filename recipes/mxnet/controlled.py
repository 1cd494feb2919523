"""What `protocol=controlled` changes of the recipe: the head, AdamW with its bias corrections, exact norms."""

import math
import os
from collections.abc import Sequence

import gluonnlp as nlp
import mxnet as mx
import numpy as np
from mxnet import gluon

from recipes.contract.job import Batch, Hidden, Job, Predict
from recipes.mxnet import model, recipe
from recipes.mxnet.batches import pad
from recipes.mxnet.encoder import encoder_of
from recipes.mxnet.recipe import load

__all__ = ["finetune", "hidden_states", "load"]

os.environ["MXNET_SAFE_ACCUMULATION"] = "1"  # sums in double precision, or a gradient's norm is 1e-4 off


def finetune(job: Job) -> Predict:
    return recipe.finetune(job, build=build, trainer_of=trainer_of, clip=clip)


def build(job: Job, devices: Sequence[mx.Context]) -> model.Classifier:
    """Return the model with the job's head."""
    return model.with_head(model.build(job, devices), job.head())


def trainer_of(job: Job, model: model.Classifier) -> gluon.Trainer:
    return recipe.trainer_of(job, model, "adamw")


@mx.optimizer.register
class AdamW(nlp.optimizer.BERTAdam):
    """AdamW (Loshchilov and Hutter 2019) of arrays in float32: BERTAdam, with Adam's bias corrections."""

    def _update_impl(self, indices, weight, grad, state, multi_precision=False):
        self._update_count(indices)
        count = self._index_update_count[indices[0]]
        first, second = 1 - self.beta1**count, math.sqrt(1 - self.beta2**count)
        means, variances = zip(*state, strict=True)
        mx.nd.contrib.multi_adamw_update(
            weight, grad, means, variances, self.rescale_grad,
            out=weight, size=len(weight), beta1=self.beta1, beta2=self.beta2, epsilon=self.epsilon * second,
            etas=self._get_lrs(indices), lrs=[second / first] * len(weight), wds=self._get_wds(indices),
        )  # fmt: skip


def clip(trained: Sequence[gluon.Parameter], at_most: float) -> mx.nd.NDArray:
    """Scale the gradients, which are the same on each device, down to the norm `at_most`, as torch does; return it."""
    norms = [parameter.list_grad()[0].norm() for parameter in trained]
    norm = mx.nd.concat(*(one.as_in_context(norms[0].context) for one in norms), dim=0).norm()
    scale = mx.nd.minimum(at_most / (norm + 1e-6), 1.0)
    for parameter in trained:
        for gradient in parameter.list_grad():
            gradient *= scale.as_in_context(gradient.context)
    return norm


def hidden_states(job: Job) -> Hidden:
    """Return the encoder before training, as a function."""
    encoder = encoder_of(job.weights, job.dropout)
    mx.random.seed(job.seed)

    def hidden(batch: Batch, training: bool) -> np.ndarray:
        ids, lengths = (mx.nd.array(one) for one in pad(batch.token_ids, encoder.bert.padding))
        with mx.autograd.train_mode() if training else mx.autograd.predict_mode():
            return encoder.model(ids, mx.nd.zeros_like(ids), lengths).asnumpy()

    return hidden
