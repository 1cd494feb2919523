"""Time predictions, in a process that has loaded the saved model and nothing else; `recipes.worker` calls it.

Every call is kept, in inference.npz: the harness makes figures of them.
"""

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from recipes.contract.job import Job, Predict
from recipes.contract.ragged import flat
from recipes.contract.split import InTwo, Split

WARM_UP = 10  # calls at least
FORESEEN = 1000  # batches drawn to learn which lengths there are
SHAPE = 4  # tokens that batches differ by for a library that compiles for each shape
Draw = Callable[[], np.ndarray]  # the rows of the next batch


def measure(job: Job, predict: Predict, split: Split) -> None:
    """Time calls of `predict` on batches of each of `measure.batch_sizes` texts, after a warm-up.

    Texts have their real lengths, in no order. Which they are, no seed of a run decides: all libraries get the same.
    """
    found: dict[str, Any] = {}
    limits = {key: getattr(job.measure, key) for key in ("calls", "seconds", "at_most")}
    for size in job.measure.batch_sizes:
        job.event("batch_size", texts=size)
        calls = latencies(predict, split, size, **limits)
        found[f"seconds_{size}"], found[f"tokens_{size}"], preparing = calls
        if isinstance(predict, InTwo):
            found[f"preparing_{size}"] = preparing
    np.savez_compressed(job.folder / "inference.npz", **found)


def latencies(
    predict: Predict, split: Split, size: int, calls: int, seconds: float, at_most: float = math.inf
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return of calls with `size` texts, after a warm-up, what `timed` does."""
    warm_up(predict, split, drawn(split, size, stream=0), at_most)
    return timed(predict, split, drawn(split, size, stream=1), calls, seconds, at_most)


def drawn(split: Split, size: int, stream: int) -> Draw:
    """Return a function that draws the rows of batch after batch, in each stream others."""
    generator = np.random.default_rng([size, stream])
    return lambda: generator.integers(len(split), size=size)


def warm_up(predict: Predict, split: Split, draw: Draw, at_most: float = math.inf) -> None:
    """Predict batches until no call is a first one: not of this size, nor of any length that is likely to come.

    They are others than those measured. A library that compiles for each shape has done so by then, as in a service
    that has run for a while. After `at_most` seconds only shapes that were not met yet are.
    """
    seen = set()
    start = time.perf_counter()
    for number in range(FORESEEN):
        rows = draw()
        shape = -(-int(split.lengths[rows].max()) // SHAPE)
        if shape not in seen or (number < WARM_UP and time.perf_counter() - start < at_most):
            predict(split.batch(rows))
            seen.add(shape)


def timed(
    predict: Predict, split: Split, draw: Draw, calls: int, seconds: float, at_most: float = math.inf
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return of each call its seconds (float64), its real tokens (int32), and, of its seconds, those of preparing.

    There are so many calls and for so long at least, but none after `at_most`. Preparing is the first part of a
    prediction in two; of others it takes none.
    """
    taken: list[float] = []
    tokens: list[int] = []
    preparing: list[float] = []
    parts = predict if isinstance(predict, InTwo) else InTwo(lambda rows: rows, predict)
    total = 0.0
    while (len(taken) < calls or total < seconds) and (total < at_most or not taken):
        rows = draw()
        batch = split.batch(rows)
        start = time.perf_counter()
        inputs = parts.prepare(batch)
        prepared = time.perf_counter()
        flat(parts.compute(inputs))  # the numbers, not the promise of some
        taken.append(time.perf_counter() - start)
        preparing.append(prepared - start)
        tokens.append(split.lengths[rows].sum())
        total += taken[-1]
    return np.array(taken), np.array(tokens, np.int32), np.array(preparing)
