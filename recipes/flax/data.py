"""The batches as a grain pipeline: its iterator's place in the data goes into a checkpoint, and back."""

from functools import lru_cache, partial

import grain
import jax
import numpy as np
from jax.sharding import NamedSharding

from recipes.contract.job import Job
from recipes.contract.split import Split
from recipes.on_jax.batches import step_batches
from recipes.weights.bert import Bert


class Steps(grain.sources.RandomAccessDataSource):
    """The rows of each optimiser step, of all epochs."""

    def __init__(self, job: Job, train: Split):
        self.job, self.in_epoch = job, len(job.steps(train.row_ids))
        self.of_epoch = lru_cache(1)(lambda epoch: job.steps(job.order(epoch)))

    def __len__(self) -> int:
        return self.job.train.epochs * self.in_epoch

    def __getitem__(self, step: int) -> np.ndarray:
        epoch, place = divmod(int(step), self.in_epoch)
        return self.of_epoch(epoch)[place]


def dataset(job: Job, train: Split, bert: Bert, by_rows: NamedSharding) -> grain.IterDataset:
    """Return what each optimiser step is of, on the devices; a thread pads the next two while one is computed."""
    ahead = grain.ReadOptions(num_threads=1, prefetch_buffer_size=2)
    steps = grain.MapDataset.source(Steps(job, train)).map(partial(step_batches, job, train, bert=bert))
    return steps.to_iter_dataset(ahead).map(partial(jax.device_put, device=by_rows))
