"""The rows of a job as PyTorch takes them: a dataset, the batches of an epoch, and padding."""

from collections.abc import Callable, Sequence

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

    def __init__(self, job: Job, rows: int, order: Callable[[int], np.ndarray] | None = None):
        self.job, self.rows, self.epoch = job, rows, 0
        self.order = order or job.order
        self.drop_last, self.batch_size = False, None  # for accelerate: they differ in size, and none is filled up

    def __len__(self):
        return -(-self.rows // self.job.rows_per_step) * self.job.batches_per_step

    def __iter__(self):
        yield from (batch.tolist() for batch in self.job.batches(self.order(self.epoch)))

    def set_epoch(self, epoch: int):
        self.epoch = epoch

    def rows_in_step(self, step: int) -> int:
        """Return the rows that the batches of an optimiser step hold, which is counted from 0 in the training."""
        steps = len(self) // self.job.batches_per_step  # of an epoch
        return max(self.job.batches_per_step, self.job.rows_in_step(step % steps, self.rows))


def collate(rows: Sequence[dict], padding: int, multiple: int = 1, size: int = 0) -> dict[str, torch.Tensor]:
    """Make a batch of a dataset's rows: input_ids and attention_mask (rows, tokens), int64, and labels (`labels_of`).

    For what is compiled or recorded for each shape there are few of them: tokens are rounded up to a `multiple`, and
    the rows filled up to `size` with the first one again, which has no weight: the losses of its labels are 0.
    """
    token_ids = [row["input_ids"] for row in rows]
    token_ids += token_ids[:1] * (size - len(rows))
    return {**pad(token_ids, padding, multiple), "labels": labels_of(rows, size)}


def labels_of(rows: Sequence[dict], size: int = 0) -> torch.Tensor:
    """Return the labels of a dataset's rows, and `IGNORED` for what is missing of `size` rows.

    They are int64 (rows,), which of the names; or, where any may hold, float32 (rows, names), as the losses take them.
    """
    labels = torch.from_numpy(np.stack([row["label"] for row in rows]))
    labels = labels.float() if labels.dtype == torch.uint8 else labels.long()
    return torch.cat([labels, labels.new_full((max(0, size - len(rows)), *labels.shape[1:]), IGNORED)])


def pad(rows: list[np.ndarray], value: int, multiple: int = 1) -> dict[str, torch.Tensor]:
    """Pad token ids to the longest row, or a multiple: input_ids and attention_mask (rows, tokens), int64."""
    ids, mask = padded(rows, value, multiple)
    return {"input_ids": torch.from_numpy(ids).long(), "attention_mask": torch.from_numpy(mask).long()}
