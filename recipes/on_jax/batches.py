"""The rows of the job as JAX takes them: in few shapes, since a function is compiled for each."""

from collections.abc import Sequence

import numpy as np

from recipes.contract.job import Job
from recipes.contract.split import Split, padded
from recipes.weights.bert import Bert


def pad(rows: Sequence[np.ndarray], bert: Bert) -> tuple[np.ndarray, np.ndarray]:
    """Pad token ids: ids and mask, int32 (rows, tokens), of 14 lengths up to 512 tokens.

    They are 4, 8, 12, 16, 24, 32, …: from 8 on multiples of a quarter of the next power of two.
    """
    longest = max(map(len, rows))
    ids, mask = padded(rows, bert.padding, max(4, 2 ** (longest - 1).bit_length() // 4))
    return ids[:, : bert.longest], mask[:, : bert.longest]


def step_batches(job: Job, split: Split, rows: np.ndarray, bert: Bert) -> dict[str, np.ndarray]:
    """Return what an optimiser step is of: ids and mask, labels, and each row's share in the mean loss.

    The first two axes are `train.accumulate` batches and the rows of each, on all devices. The last step of an epoch
    may have fewer rows: it is filled up with rows of no share.
    """
    filled = np.resize(rows, job.rows_per_step)
    ids, mask = pad([split.token_ids[row] for row in filled], bert)
    share = np.where(np.arange(len(filled)) < len(rows), np.float32(1 / len(rows)), np.float32(0))
    step = {"ids": ids, "mask": mask, "labels": split.labels[filled], "share": share}
    return {name: values.reshape(job.train.accumulate, -1, *values.shape[1:]) for name, values in step.items()}


def prediction_batch(token_ids: Sequence[np.ndarray], bert: Bert) -> tuple[np.ndarray, np.ndarray]:
    """Return ids and mask (rows, tokens) of texts; some come again where their number is no power of two."""
    rows = 1 << (len(token_ids) - 1).bit_length()
    return pad([token_ids[row % len(token_ids)] for row in range(rows)], bert)
