"""The rows of the job as `fit` takes them: tf.data's buckets on TensorFlow, a PyDataset on JAX and PyTorch.

Either is gone through once an epoch; which epoch that is, the callback tells that counts them.
"""

from functools import lru_cache

import keras
import numpy as np

from recipes.contract.job import Job
from recipes.contract.ragged import Ragged
from recipes.contract.split import few, padded
from recipes.contract.tasks import IGNORED
from recipes.keras.callbacks import Report
from recipes.keras.devices import BACKEND

if BACKEND == "tensorflow":
    import tensorflow as tf

    from recipes.on_tensorflow.batches import bucketed, signature


def batches(job: Job, padding: int, report: Report):
    """Return the data of an epoch, in batches of texts of like length."""
    if BACKEND == "tensorflow" and job.processes == job.train.accumulate == 1 and job.compile == "none":
        return buckets(job, padding, report)
    return given(job, padding, report)  # buckets are of many shapes, and give no whole steps of several batches


def buckets(job: Job, padding: int, report: Report):
    """Return tf.data's buckets: what is shuffled is gathered by length, in token ids, into batches."""
    data = bucketed(job, job.train.batch_size, padding, lambda: report.epoch)
    return data.map(lambda ids, mask, labels: ({"token_ids": ids, "padding_mask": mask}, labels))


def given(job: Job, padding: int, report: Report):
    """Return the batches of the job: a PyDataset, or the same for TensorFlow.

    Of a PyDataset TensorFlow would take the lengths of two batches for those of all.
    """
    data = Batches(job, padding, report)
    if BACKEND != "tensorflow":
        return data
    inputs, *others = data[0]
    _, tokens, *specs = signature(job)
    spec = dict.fromkeys(inputs, tokens), *specs[: len(others)]
    fed = tf.data.Dataset.from_generator(lambda: (data[i] for i in range(len(data))), output_signature=spec)
    return fed.apply(tf.data.experimental.assert_cardinality(len(data)))


class Batches(keras.utils.PyDataset):
    """The batches of the job, each for all devices: what does not divide is filled up with rows of no weight.

    Those of a step have as many rows: Keras' mean of their losses is over rows. So do all where each shape is compiled.
    Tokens without a tag are IGNORED, as the loss is told.
    """

    def __init__(self, job: Job, padding: int, report: Report, first: int = 0):
        super().__init__()
        self.job, self.split, self.padding = job, job.split("train"), padding
        self.report, self.first = report, first
        self.rows_of = lru_cache(maxsize=1)(lambda epoch: job.batches(job.order(epoch)))

    def skip(self, count: int) -> "Batches":
        """Leave out the first batches, as tf.data's does."""
        return Batches(self.job, self.padding, self.report, count)

    def __len__(self):
        return len(self.rows_of(self.report.epoch)) - self.first

    def __getitem__(self, index):
        index, accumulate, devices = self.first + index, self.job.train.accumulate, self.job.processes
        batches, first = self.rows_of(self.report.epoch), index - index % accumulate
        rows, step = batches[index], batches[first : first + accumulate]
        compiled = self.job.compile != "none"
        size = self.job.train.batch_size * devices if compiled else max(map(len, step))
        filled = np.append(rows, rows[:1].repeat(size + -size % devices - len(rows)))
        inputs = pad([self.split.token_ids[row] for row in filled], self.padding, compiled)
        labels, counts = self.split.labels, np.arange(len(filled)) < len(rows)
        if tagged := isinstance(labels, Ragged):
            labels = padded([labels[row] for row in filled], IGNORED, inputs["token_ids"].shape[1])[0]
            counts = counts[:, np.newaxis] & (labels != IGNORED)
        else:
            labels = labels[filled]
        if accumulate == devices == 1 and not compiled:
            return inputs, labels
        items = max(1, self.split.items[np.concatenate(step)].sum())
        share = counts * np.float32(accumulate * counts.size / items)  # the optimizer takes the plain mean over batches
        return inputs, np.where(counts, labels, 0) if tagged else labels, share


def pad(rows: list[np.ndarray], value: int, compiled: bool = BACKEND == "jax") -> dict[str, np.ndarray]:
    """Pad token ids to the longest row, or to one of few lengths: token_ids and padding_mask (rows, tokens), int32."""
    ids, mask = padded(rows, value, few(max(map(len, rows)), 8) if compiled else 1)
    return {"token_ids": ids, "padding_mask": mask}
