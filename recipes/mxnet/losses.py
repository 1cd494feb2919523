"""A task's loss, as Gluon has it: what the head gives (…, outputs) and labels -> the loss of each row, or token."""

from collections.abc import Callable
from functools import partial

import mxnet as mx
from mxnet import gluon


def token_losses() -> Callable[[mx.nd.NDArray, mx.nd.NDArray], mx.nd.NDArray]:
    """Return the loss of each token; of rows of tokens Gluon's would be the mean over all that stand in a row."""
    loss_of = gluon.loss.SoftmaxCELoss()
    return lambda logits, tags: loss_of(logits.reshape((-3, 0)), tags.reshape(-1)).reshape_like(tags)


LOSSES = {
    "classification": gluon.loss.SoftmaxCELoss,
    "multilabel": gluon.loss.SigmoidBinaryCrossEntropyLoss,
    "tagging": token_losses,
    "regression": partial(gluon.loss.L2Loss, weight=2.0),  # it takes half of the square
}
