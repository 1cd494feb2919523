"""The classifier, a Gluon block: built, saved as a Hugging Face folder, read from it."""

from collections.abc import Sequence

import mxnet as mx
from mxnet.gluon import HybridBlock, nn

from recipes import weights
from recipes.contract.job import Dropout, Job
from recipes.mxnet.encoder import CPU, Encoder, encoder_of, numbers
from recipes.weights import Head


class Classifier(HybridBlock):
    """Token ids (rows, tokens) and lengths (rows,), float32 -> logits (rows, outputs), or (rows, tokens, outputs)."""

    def __init__(self, encoder: Encoder, outputs: int, pooling: str | None, rate: float):
        super().__init__()
        self.encoder, self.pooling = encoder, pooling
        units = encoder.unused.shape[1]
        with self.name_scope():
            self.bert, self.dropout = encoder.model, nn.Dropout(rate)
            normal, flatten = mx.init.Normal(0.02), pooling is not None
            self.head = nn.Dense(outputs, in_units=units, weight_initializer=normal, flatten=flatten)

    def hybrid_forward(self, F, ids, lengths):
        hidden = self.bert(ids, F.zeros_like(ids), lengths)  # 0 at padding
        if self.pooling == "cls":
            hidden = F.slice_axis(hidden, axis=1, begin=0, end=1)
        elif self.pooling == "mean":
            hidden = F.broadcast_div(F.sum(hidden, axis=1), F.expand_dims(lengths, axis=1))
        return self.head(self.dropout(hidden))


def build(job: Job, devices: Sequence[mx.Context] = CPU) -> Classifier:
    """Return the encoder with a new head."""
    mx.random.seed(job.seed)
    encoder = encoder_of(job.weights, job.dropout, devices)
    model = Classifier(encoder, job.outputs, job.pooling, job.dropout.hidden)
    model.head.initialize(ctx=list(devices))
    return model


def with_head(model: Classifier, head: Head) -> Classifier:
    """Return the classifier with this head: weight (outputs, hidden) and bias (outputs)."""
    for parameter, value in zip((model.head.weight, model.head.bias), head, strict=True):
        parameter.set_data(mx.nd.array(value))
    return model


def save(model: Classifier, job: Job) -> None:
    """Write the Hugging Face folder."""
    head = {"weight": numbers(model.head.weight), "bias": numbers(model.head.bias)}
    weights.write(job, model.encoder.weights(), head)


def saved(job: Job) -> Classifier:
    """Return what stands in the Hugging Face folder that a recipe has left."""
    model = Classifier(encoder_of(job.model, Dropout()), job.outputs, job.pooling, 0.0)
    model.head.initialize(ctx=list(CPU))
    return with_head(model, weights.read_head(job.model))
