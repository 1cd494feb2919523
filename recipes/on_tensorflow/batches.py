"""The rows of the job as TensorFlow takes them: optimiser steps of padded rows, whose shape is free.

A step is a tuple of tensors: ids and mask (rows, tokens), int32; labels, of tags (rows, tokens); the share of each
text, or token, in the mean loss, float32. Its rows divide into `train.accumulate` batches on each device; what was
missing for that has no share, nor have tokens without a tag.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import tensorflow as tf

from recipes.contract.job import Batch, Job, Predict
from recipes.contract.ragged import Ragged
from recipes.contract.split import padded, rows_of
from recipes.contract.tasks import IGNORED

Steps = Callable[[int, int], Iterable]  # an epoch, how many steps of it are done -> the others


def signature(job: Job) -> list[tf.TensorSpec]:
    """Return what a step looks like, for `tf.function`: it is traced once for all shapes."""
    tokens = tf.TensorSpec((None, None), tf.int32)
    labels = tf.TensorSpec((None, None) if job.task.name in ("multilabel", "tagging") else (None,), job.task.dtype)
    share = tf.TensorSpec((None, None) if job.task.name == "tagging" else (None,), tf.float32)
    return [tokens, tokens, labels, share]


def buckets(job: Job, padding: int) -> tuple[Steps, int]:
    """Return the steps of an epoch, as tf.data gathers what is shuffled by length, and how many there are.

    Where a step is of several batches, they are in the job's order: the last of each bucket is not whole.
    """
    if job.rows_per_step > job.train.batch_size:
        return given(job, padding)
    now = {"epoch": 0}
    data = bucketed(job, job.train.batch_size, padding, lambda: now["epoch"])
    data, count = data.map(lambda *rows: filled(job, *rows)).prefetch(tf.data.AUTOTUNE), len(data)

    def steps(epoch: int, done: int) -> tf.data.Dataset:
        now["epoch"] = epoch
        return data.skip(done)

    return steps, count


def bucketed(job: Job, size: int, padding: int, epoch: Callable[[], int]) -> tf.data.Dataset:
    """Return batches of `size` rows of like length, by `bucket_boundaries`: ids, mask and labels.

    `epoch` tells in which order they come: tf.data's own shuffle goes by how often it has been gone through.
    """
    split, boundaries = job.split("train"), job.settings["bucket_boundaries"]
    token_ids, labels = tensor(split.token_ids), tensor(split.labels)

    def shuffled() -> Iterator[np.ndarray]:
        yield np.random.default_rng([job.seed, epoch()]).permutation(len(split))

    data = tf.data.Dataset.from_generator(shuffled, output_signature=tf.TensorSpec((None,), tf.int64)).unbatch()
    data = data.map(lambda row: (token_ids[row], tf.ones_like(token_ids[row]), labels[row]))
    data = data.bucket_by_sequence_length(
        lambda ids, mask, label: tf.size(ids),
        boundaries,
        [size] * (len(boundaries) + 1),
        padding_values=(padding, 0, labels.dtype.as_numpy_dtype(IGNORED if job.task.name == "tagging" else 0)),
    )
    counts = np.bincount(np.digitize(split.lengths, boundaries))
    return data.apply(tf.data.experimental.assert_cardinality(int(np.ceil(counts / size).sum())))


def tensor(values: np.ndarray | Ragged) -> tf.Tensor | tf.RaggedTensor:
    """Return the rows of a split in memory."""
    if isinstance(values, Ragged):
        return tf.RaggedTensor.from_row_splits(np.array(values.values), np.array(values.offsets))
    return tf.constant(np.array(values))


def given(job: Job, padding: int) -> tuple[Steps, int]:
    """Return the steps of an epoch in the job's own order, and how many there are."""
    split = job.split("train")

    def steps(epoch: int, done: int) -> Iterable:
        for rows in job.steps(job.order(epoch))[done:]:
            ids, mask = pad([split.token_ids[row] for row in rows], padding)
            tagged = isinstance(split.labels, Ragged)
            labels = padded([split.labels[row] for row in rows], IGNORED)[0] if tagged else split.labels[rows]
            yield filled(job, ids, mask, labels)

    return steps, len(job.steps(split.row_ids))


def filled(job: Job, *rows: tf.Tensor) -> tuple[tf.Tensor, ...]:
    """Return a step of ids, mask and labels: it divides, and has the shares of its labels in the mean loss."""
    number = tf.shape(rows[0])[0]
    numbers = tf.range(number + -number % (job.train.accumulate * job.processes))
    ids, mask, labels = (tf.gather(values, numbers % number) for values in rows)
    counts = numbers < number
    if job.task.name == "tagging":
        counts = counts[:, tf.newaxis] & (labels != IGNORED)
        labels = tf.where(counts, labels, 0)
    share = tf.cast(counts, tf.float32)
    return ids, mask, labels, share / tf.maximum(tf.reduce_sum(share), 1.0)


def part(values: tf.Tensor, job: Job, batch: tf.Tensor) -> tf.Tensor:
    """Return the rows of a step that this device takes in one of its `train.accumulate` batches."""
    device = tf.distribute.get_replica_context().replica_id_in_sync_group
    number = batch * job.processes + device
    rows = tf.shape(values)[0] // (job.train.accumulate * job.processes)
    return values[number * rows : (number + 1) * rows]


def pad(token_ids: Sequence[np.ndarray], padding: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Pad token ids to the longest row: ids and mask (rows, tokens), int32."""
    ids, mask = padded(token_ids, padding)
    return tf.constant(ids), tf.constant(mask)


def predictor(model: tf.Module) -> Predict:
    """Return the function that predicts with a classifier, by its `logits` and the padding of its encoder's `bert`."""

    def predict(batch: Batch) -> np.ndarray | list[np.ndarray]:
        return rows_of(model.logits(*pad(batch.token_ids, model.encoder.bert.padding)).numpy(), batch)

    return predict
