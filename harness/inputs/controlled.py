"""The controlled protocol: one head and one order of batches for all libraries, written into the job."""

import numpy as np

from recipes.contract.job import Job
from recipes.contract.split import order_of_like_length

HEAD_DEVIATION = 0.02  # BERT's initializer_range


def write(job: Job, hidden: int) -> None:
    """Write head.npz (weight (labels, hidden), bias (labels); float32) and order.npy (int64, (epochs, rows))."""
    generator = np.random.default_rng(job.seed)
    weight = generator.normal(0, HEAD_DEVIATION, (job.outputs, hidden)).astype(np.float32)
    np.savez(job.folder / "head.npz", weight=weight, bias=np.zeros(job.outputs, np.float32))
    lengths = job.split("train").lengths
    orders = [order_of_like_length(lengths, job.rows_per_step, generator) for _ in range(job.train.epochs)]
    np.save(job.folder / "order.npy", np.stack(orders))
