"""The rows of a job as PyTorch takes them: a dataset, the batches of an epoch, and padding."""

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
import torch

from recipes.contract.job import Job
from recipes.contract.split import Split, padded
from recipes.contract.tasks import IGNORED


class TokenIds(torch.utils.data.Dataset):
    """The rows of a split: token ids, and the label or labels as its task has them."""

    def __init__(self, split: Split):
        self.split = split

    def __len__(self):
        return len(self.split)

    def __getitem__(self, row):
        return {"input_ids": self.split.token_ids[row], "label": self.split.labels[row]}


class Batches(torch.utils.data.Sampler):
    """The rows of each batch, in the job's order of an epoch, those of a step being of like length, or in another.

    Of several processes each takes one batch in turn.
    """

    def __init__(self, job: Job, split: Split, order: Callable[[int], np.ndarray] | None = None):
        self.job, self.rows, self.epoch = job, len(split), 0
        order = order or job.order
        self.of_epoch = lru_cache(1)(lambda epoch: job.batches(order(epoch)))
        self.elements = split.items * (job.outputs if job.task.name == "multilabel" else 1)  # of each row's labels
        self.drop_last, self.batch_size = False, None  # for accelerate: they differ in size, and none is filled up

    def __len__(self):
        return -(-self.rows // self.job.rows_per_step) * self.job.batches_per_step

    def __iter__(self):
        yield from (batch.tolist() for batch in self.of_epoch(self.epoch))

    def set_epoch(self, epoch: int):
        self.epoch = epoch

    def items_in_step(self, step: int) -> int:
        """Return how many elements of their labels the batches of an optimiser step have a loss for: see `criterion`.

        They are what the mean over the step is over. The step is counted from 0 in the training.
        """
        batches = self.job.batches_per_step
        epoch, place = divmod(step * batches, len(self))
        return int(self.elements[np.concatenate(self.of_epoch(epoch)[place : place + batches])].sum())


def collate(rows: Sequence[dict], padding: int, multiple: int = 1, size: int = 0) -> dict[str, torch.Tensor]:
    """Make a batch of a dataset's rows: input_ids and attention_mask (rows, tokens), int64, and labels (`labels_of`).

    For what is compiled or recorded for each shape there are few of them: tokens are rounded up to a `multiple`, and
    the rows filled up to `size` with the first one again, which has no weight: the losses of its labels are 0.
    """
    token_ids = [row["input_ids"] for row in rows]
    token_ids += token_ids[:1] * (size - len(rows))
    inputs = pad(token_ids, padding, multiple)
    return {**inputs, "labels": labels_of(rows, size, inputs["input_ids"].shape[1])}


def labels_of(rows: Sequence[dict], size: int, tokens: int) -> torch.Tensor:
    """Return the labels of a dataset's rows, as the losses take them, and `IGNORED` for what is missing.

    They are int64 (size,), which of the names; float32 (size, names), where any may hold; float32 (size,), numbers; or
    int64 (size, tokens), the tags of padded tokens.
    """
    labels = [row["label"] for row in rows]
    if are_tagged(rows):
        labels = [np.pad(tags, (0, tokens - len(tags)), constant_values=IGNORED) for tags in labels]
    found = as_taken(np.stack(labels))
    return torch.cat([found, found.new_full((max(0, size - len(rows)), *found.shape[1:]), IGNORED)])


def are_tagged(rows: Sequence[dict]) -> bool:
    """Tell whether the label of a row is a tag for each of its tokens."""
    label = rows[0]["label"]
    return label.ndim == 1 and label.dtype == np.int32


def as_taken(labels: np.ndarray) -> torch.Tensor:
    """Return labels in the type that the losses take: which of some names as int64, all others as float32."""
    found = torch.from_numpy(labels)
    return found.long() if found.dtype == torch.int32 else found.float()


def pad(rows: list[np.ndarray], value: int, multiple: int = 1) -> dict[str, torch.Tensor]:
    """Pad token ids to the longest row, or a multiple: input_ids and attention_mask (rows, tokens), int64."""
    ids, mask = padded(rows, value, multiple)
    return {"input_ids": torch.from_numpy(ids).long(), "attention_mask": torch.from_numpy(mask).long()}
