"""The rows of the job as MXNet takes them: on each device its part of a batch, whose shape is free."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import mxnet as mx
import numpy as np
from mxnet.gluon.utils import split_and_load

from recipes.contract.job import Job
from recipes.contract.ragged import Ragged
from recipes.contract.split import Split, padded
from recipes.contract.tasks import IGNORED


class Part(NamedTuple):
    """What one device takes of a batch: ids (rows, tokens), lengths (rows,), labels, the share of each in the loss."""

    ids: mx.nd.NDArray
    lengths: mx.nd.NDArray
    labels: mx.nd.NDArray
    share: mx.nd.NDArray


def devices_of(job: Job) -> list[mx.Context]:
    """Return the devices that share the rows of each batch: contexts of processors stand for parts of one machine."""
    device = mx.cpu if job.placement.use_cpu else mx.gpu
    return [device(number) for number in range(job.processes)]


def seed_of(job: Job, step: int) -> int:
    """Return what a step's dropout is drawn from: it follows from the job's seed and the step, and is like no other."""
    return int(np.random.SeedSequence([job.seed, step]).generate_state(1)[0] >> 1)


def batches_of(job: Job, split: Split, rows: np.ndarray, padding: int) -> Iterator[list[Part]]:
    """Yield the `train.accumulate` batches of an optimiser step, each as parts for the devices.

    A step of fewer rows is filled up, so that it divides, with rows of no share in its mean loss. Tokens without
    a tag have none either.
    """
    devices, number = devices_of(job), job.train.accumulate * job.processes
    filled = np.resize(rows, len(rows) + -len(rows) % number)
    items = max(1, split.items[rows].sum())
    for part in np.split(np.arange(len(filled)), job.train.accumulate):
        ids, lengths = pad([split.token_ids[row] for row in filled[part]], padding)
        counts = part < len(rows)
        if isinstance(split.labels, Ragged):
            labels = padded([split.labels[row] for row in filled[part]], IGNORED)[0]
            counts = counts[:, np.newaxis] & (labels != IGNORED)
            labels = np.where(counts, labels, 0)
        else:
            labels = split.labels[filled[part]]
        values = ids, lengths, np.asarray(labels, np.float32), (counts / items).astype(np.float32)
        yield [Part(*each) for each in zip(*(split_and_load(one, devices) for one in values), strict=True)]


def pad(token_ids: Sequence[np.ndarray], padding: int) -> tuple[np.ndarray, np.ndarray]:
    """Pad token ids to the longest row: ids (rows, tokens) and lengths (rows,), float32, as gluonnlp has them."""
    ids, mask = padded(token_ids, padding)
    return ids.astype(np.float32), mask.sum(1).astype(np.float32)
