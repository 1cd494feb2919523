"""A task's loss, as Gluon has it: logits (rows, outputs) and labels -> the loss of each row."""

from mxnet import gluon

LOSSES = {"classification": gluon.loss.SoftmaxCELoss, "multilabel": gluon.loss.SigmoidBinaryCrossEntropyLoss}
