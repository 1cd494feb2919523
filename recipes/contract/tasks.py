"""The tasks: what a text is answered with, how its labels lie in a split, and each one's loss in numpy, the reference.

| task | labels of a split | `Predict` returns | loss of an item |
| --- | --- | --- | --- |
| classification | int32 (rows,): which of the names | (rows, names) | a text: cross entropy of the softmax |
| multilabel | uint8 (rows, names): 1 where it holds | (rows, names) | a text: binary cross entropy, mean over names |
| tagging | ragged int32 (tokens,): which tag, or IGNORED | a list of (tokens, tags) | a word: cross entropy |
| regression | float32 (rows,): the number, scaled | (rows, 1) | a text: squared error |

All that is predicted is float32 and before any activation: logits, or the number itself. Names are those of the job's
`labels`, in their order; a regression's one name is what its number is called.

A loss returns its sum, how many items it is over, and each item's: a mean over several batches, processes or devices
is then one division, whatever their sizes. So does mlcommons/algorithmic-efficiency. Standard library and numpy only.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from recipes.contract.ragged import Ragged, flat, read_array

IGNORED = -100  # the tag of a token that has none: it is no item of a loss, and nothing is scored there
FILE = "labels"  # of a split: labels.bin, or labels.values.bin and labels.offsets.bin


class Loss(NamedTuple):
    """A loss: its sum over the valid items, how many these are, and each item's (float64; 0 where it is not valid)."""

    summed: float
    valid: int
    each: np.ndarray

    @property
    def mean(self) -> float:
        """The mean over the valid items; 0 where there are none."""
        return self.summed / max(self.valid, 1)


class Task(ABC):
    """What a text is answered with. A task has no state: there is one object of each, in `TASKS`."""

    name: str
    dtype: str  # of the labels on disk

    def outputs(self, names: Sequence[str]) -> int:
        """How many numbers the head gives, for a text or for a token: one for each name."""
        return len(names)

    def open(self, folder: Path, outputs: int) -> np.ndarray | Ragged:
        """Memory-map the labels of the split that lies in `folder`."""
        return read_array(folder / f"{FILE}.bin", self.dtype)

    def write(self, labels: np.ndarray | Ragged, folder: Path) -> None:
        """Write the labels of a split into its folder, for `open`."""
        flat(labels).astype(self.dtype).tofile(folder / f"{FILE}.bin")

    def loss(self, predicted: np.ndarray | Ragged, labels: np.ndarray | Ragged, mask: np.ndarray | None = None) -> Loss:
        """Return the loss of what was predicted, computed in float64.

        `mask` has True or 1 for each item that counts; None: all do. The labels of the others may be anything. Tokens
        may be flat, (tokens, tags), or padded, (rows, tokens, tags): labels and mask go with them.
        """
        outputs, truth = np.asarray(flat(predicted), np.float64), flat(labels)
        valid = self.is_item(truth)
        if mask is not None:
            valid = valid & np.asarray(mask, bool)
        each = np.zeros(valid.shape)
        each[valid] = self.item_losses(outputs[valid], truth[valid])
        return Loss(float(each.sum()), int(valid.sum()), each)

    def is_item(self, labels: np.ndarray) -> np.ndarray:
        """Tell of each label whether it is an item of the loss."""
        return np.ones(labels.shape[:1], bool)

    def items(self, labels: np.ndarray | Ragged) -> np.ndarray:
        """Return how many items of the loss each row of a split has; int64 (rows,)."""
        return np.ones(len(labels), np.int64)

    def difference(self, labels: np.ndarray | Ragged, one: np.ndarray, other: np.ndarray) -> float:
        """Return the largest difference between two predictions of items with such labels; tokens are flat."""
        return float(np.abs(one - other)[self.is_item(flat(labels))].max())

    @abstractmethod
    def item_losses(self, outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return the loss of each item (items,) from float64 outputs (items, outputs) and labels, all valid."""

    @abstractmethod
    def activation(self, outputs: np.ndarray) -> np.ndarray:
        """Return what outputs (…, outputs) mean, float64: probabilities, or the number itself."""

    @abstractmethod
    def answers(self, outputs: np.ndarray) -> np.ndarray:
        """Return the labels that outputs say, as a split has them."""


class Classification(Task):
    """One label a text: the softmax over the names, its largest is the answer."""

    name, dtype = "classification", "int32"

    def item_losses(self, outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
        chosen = np.take_along_axis(outputs, labels[:, None].astype(np.int64), 1)[:, 0]
        largest = outputs.max(1, initial=-np.inf)
        return np.log(np.exp(outputs - largest[:, None]).sum(1)) + largest - chosen

    def activation(self, outputs: np.ndarray) -> np.ndarray:
        shifted = np.exp(outputs.astype(np.float64) - outputs.max(-1, keepdims=True))
        return shifted / shifted.sum(-1, keepdims=True)

    def answers(self, outputs: np.ndarray) -> np.ndarray:
        return outputs.argmax(-1).astype(self.dtype)


class Multilabel(Task):
    """Any number of labels a text: a sigmoid for each name, and the answer is those of more than one half.

    An item is a text, not one of its labels, and its loss the mean over the names: so the mean over a batch is what
    `BCEWithLogitsLoss` and Keras' `BinaryCrossentropy` give by default, and rows count in all tasks alike.
    """

    name, dtype = "multilabel", "uint8"

    def open(self, folder: Path, outputs: int) -> np.ndarray:
        return flat(super().open(folder, outputs)).reshape(-1, outputs)

    def item_losses(self, outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
        entropy = np.maximum(outputs, 0) - outputs * labels + np.log1p(np.exp(-np.abs(outputs)))
        return entropy.mean(1)

    def activation(self, outputs: np.ndarray) -> np.ndarray:
        small = np.exp(-np.abs(outputs.astype(np.float64)))  # never above 1
        return np.where(outputs >= 0, 1, small) / (1 + small)

    def answers(self, outputs: np.ndarray) -> np.ndarray:
        return (outputs > 0).astype(self.dtype)


class Tagging(Classification):
    """A tag for each word of a text, which its first token bears; the others are tagged IGNORED and are no items.

    A tag says whether a word begins a span (B-LABEL), goes on with it (I-LABEL) or is in none (O): the scheme IOB2.
    """

    name, dtype = "tagging", "int32"

    def open(self, folder: Path, outputs: int) -> Ragged:
        return Ragged.open(folder, FILE, self.dtype)

    def write(self, labels: np.ndarray | Ragged, folder: Path) -> None:
        assert isinstance(labels, Ragged), "each text has tags of its own number"
        Ragged(labels.values.astype(self.dtype), labels.offsets).write(folder, FILE)

    def is_item(self, labels: np.ndarray) -> np.ndarray:
        return labels != IGNORED

    def items(self, labels: np.ndarray | Ragged) -> np.ndarray:
        assert isinstance(labels, Ragged)
        before = np.cumsum([0, *self.is_item(labels.values)])
        return np.diff(before[labels.offsets])


class Regression(Task):
    """A number a text: scaled to mean 0 and standard deviation 1 of train, on disk and in what is predicted."""

    name, dtype = "regression", "float32"

    def outputs(self, names: Sequence[str]) -> int:
        return 1

    def item_losses(self, outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
        return (outputs[:, 0] - labels) ** 2

    def activation(self, outputs: np.ndarray) -> np.ndarray:
        return outputs.astype(np.float64)

    def answers(self, outputs: np.ndarray) -> np.ndarray:
        return outputs[:, 0].astype(self.dtype)


TASKS: dict[str, Task] = {task.name: task for task in (Classification(), Multilabel(), Tagging(), Regression())}
CLASSIFICATION = TASKS["classification"]
