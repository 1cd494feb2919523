"""The batches as a grain pipeline: its iterator's place in the data goes into a checkpoint, and back."""

from functools import lru_cache, partial

import grain
import jax
import numpy as np
from jax.sharding import NamedSharding

from recipes.contract.job import Job
from recipes.contract.split import Split
from recipes.on_jax.batches import step_batches
from recipes.on_jax.steps import chunks, most
from recipes.weights.bert import Bert


class Steps(grain.sources.RandomAccessDataSource):
    """The rows of each optimiser step, of all epochs: those of a program's steps stand at its last step.

    There is nothing at the others, which grain leaves out. So the place in the data is the steps that are done, however
    many go into a program.
    """

    def __init__(self, job: Job, train: Split, done: int):
        self.job, self.in_epoch = job, len(job.steps(train.row_ids))
        self.chunks = {chunk[-1]: chunk for chunk in chunks(job, self.in_epoch, done)}
        self.of_epoch = lru_cache(1)(lambda epoch: job.steps(job.order(epoch)))

    def __len__(self) -> int:
        return self.job.train.epochs * self.in_epoch

    def __getitem__(self, step: int) -> list[np.ndarray] | None:
        if step not in self.chunks:
            return None
        epoch, place = divmod(self.chunks[step].start, self.in_epoch)
        return self.of_epoch(epoch)[place:][: len(self.chunks[step])]


def dataset(job: Job, train: Split, bert: Bert, steps: Steps, by_rows: NamedSharding) -> grain.IterDataset:
    """Return what the steps of each program are of, on the devices; a thread pads the next while one is computed."""
    ahead = grain.ReadOptions(num_threads=1, prefetch_buffer_size=2 * most(job))
    batches = grain.MapDataset.source(steps).map(partial(step_batches, job, train, bert=bert))
    return batches.to_iter_dataset(ahead).map(partial(jax.device_put, device=by_rows))
