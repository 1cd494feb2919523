"""The loss of each task, as Keras has it; of tags those that are IGNORED do not count."""

from functools import partial

from keras import losses

from recipes.contract.tasks import IGNORED

LOSSES = {
    "classification": partial(losses.SparseCategoricalCrossentropy, from_logits=True),
    "multilabel": partial(losses.BinaryCrossentropy, from_logits=True),
    "tagging": partial(losses.SparseCategoricalCrossentropy, from_logits=True, ignore_class=IGNORED),
    "regression": losses.MeanSquaredError,
}
