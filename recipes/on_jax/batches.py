"""The rows of the job as JAX takes them: in few shapes, since a function is compiled for each."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import jax
import numpy as np
from jax.sharding import NamedSharding

from recipes.contract.job import Job
from recipes.contract.split import Split, few, padded
from recipes.contract.tasks import IGNORED
from recipes.on_jax.steps import chunks, most
from recipes.on_jax.texts import Packed, Padded, Texts
from recipes.weights.bert import Bert

NOTHING = np.zeros(0, np.int32)  # a text of no tokens
NARROWEST = 64  # tokens in a row that is packed, at least: with fewer of them more is left empty

Arrays = dict[str, Any]  # of texts, labels and shares, by name


def pad(rows: Sequence[np.ndarray], bert: Bert) -> Padded:
    """Pad token ids to one of 14 lengths up to 512 tokens."""
    ids, mask = padded(rows, bert.padding, few(max(map(len, rows))))
    return Padded(ids[:, : bert.longest], mask[:, : bert.longest])


def pack(batches: Sequence[Sequence[np.ndarray]], bert: Bert, tokens: int, devices: int) -> Packed:
    """Put the texts of each batch into rows of so many tokens: the rows of all batches, as many in each.

    A text of no tokens is put nowhere.
    """
    lengths = np.array([[len(text) for text in texts] for texts in batches], np.int32)
    places = [first_fit(those, tokens) for those in lengths]
    rows = -(-few(max(used.max() for used, _ in places) + 1, 1) // devices) * devices  # of each batch
    shape = len(batches) * rows, tokens
    ids, texts, positions = (np.full(shape, value, np.int32) for value in (bert.padding, -1, 0))
    for batch, placed in enumerate(places):
        for text, (row, start) in enumerate(zip(*placed, strict=True)):
            there = batch * rows + row, slice(start, start + lengths[batch, text])
            ids[there], texts[there] = batches[batch][text], text
            positions[there] = np.arange(lengths[batch, text])
    return Packed(ids, texts, positions, lengths.reshape(-1))


def by_token(tags: Sequence[np.ndarray], texts: Texts, batches: int) -> np.ndarray:
    """Lay the tags of each text out as its tokens are in so many batches: int32 (rows, tokens), IGNORED elsewhere."""
    if isinstance(texts, Padded):
        return padded(tags, IGNORED, texts.ids.shape[1])[0]
    first = np.cumsum([0, *map(len, tags)])[:-1].reshape(batches, -1)  # of each text's, among all tags
    text = texts.texts.reshape(batches, -1)
    places = np.take_along_axis(first, np.maximum(text, 0), 1) + texts.positions.reshape(batches, -1)
    return np.where(text < 0, IGNORED, np.concatenate([*tags, [IGNORED]])[places]).reshape(texts.ids.shape)


def first_fit(lengths: np.ndarray, tokens: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the row of each text, and where it begins there: in the first that has room, the longest text first."""
    rows, starts, filled = np.zeros((3, len(lengths)), int)
    for text in np.argsort(-lengths, kind="stable"):
        row = rows[text] = np.argmax(filled + lengths[text] <= tokens)
        starts[text] = filled[row]
        filled[row] += lengths[text]
    return rows, starts


def chunk_batches(
    job: Job, split: Split, bert: Bert, done: int, by_rows: NamedSharding
) -> Iterator[tuple[range, Arrays]]:
    """Yield the steps of each program after those that are done, and what they are of, on the devices."""
    size, of_epoch = len(job.steps(split.row_ids)), lru_cache(1)(lambda epoch: job.steps(job.order(epoch)))
    for chunk in chunks(job, size, done):
        epoch, place = divmod(chunk.start, size)
        batches = step_batches(job, split, of_epoch(epoch)[place:][: len(chunk)], bert)
        yield chunk, jax.device_put(batches, by_rows)


def step_batches(job: Job, split: Split, steps: Sequence[np.ndarray], bert: Bert) -> Arrays:
    """Return what optimiser steps of these rows are of: texts, labels, and the share of each in the mean loss.

    The first axes are the steps (the last one again, up to `most`), the `train.accumulate` batches of each, and the
    rows of a batch, on all devices; of tags the tokens of a row follow. The last step of an epoch may have fewer rows:
    it is filled up with rows of no share, which tokens without a tag have neither.
    """
    steps = [*steps, *[steps[-1]] * (most(job) - len(steps))]
    rows = np.concatenate([np.resize(one, job.rows_per_step) for one in steps])
    counts = np.concatenate([np.arange(job.rows_per_step) < len(one) for one in steps])
    batches = len(steps) * job.train.accumulate
    texts: Texts
    if job.packed:
        taken = [split.token_ids[row] if counted else NOTHING for row, counted in zip(rows, counts, strict=True)]
        tokens = max(NARROWEST, 1 << (int(split.lengths.max()) - 1).bit_length())
        size = len(taken) // batches
        texts = pack([taken[start : start + size] for start in range(0, len(taken), size)], bert, tokens, job.processes)
    else:
        texts = pad([split.token_ids[row] for row in rows], bert)
    if job.task.name == "tagging":
        tags = [split.labels[row] if counted else NOTHING for row, counted in zip(rows, counts, strict=True)]
        labels = by_token(tags, texts, batches)
        counts = labels != IGNORED
        labels = np.where(counts, labels, 0)
    else:
        labels = split.labels[rows]
    items = np.array([max(1, split.items[one].sum()) for one in steps])
    share = (counts.reshape(len(steps), -1) / items[:, None]).reshape(counts.shape).astype(np.float32)
    step = {"texts": texts, "labels": labels, "share": share}
    first = len(steps), job.train.accumulate, -1
    return jax.tree.map(lambda values: values.reshape(*first, *values.shape[1:]), step)


def prediction_batch(token_ids: Sequence[np.ndarray], bert: Bert) -> Padded:
    """Return texts for a model; some come again where their number is no power of two."""
    rows = 1 << (len(token_ids) - 1).bit_length()
    return pad([token_ids[row % len(token_ids)] for row in range(rows)], bert)
