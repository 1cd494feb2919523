"""Time predictions, in a process that has loaded the saved model and nothing else; `recipes.worker` calls it.

Every call is kept, in inference.npz: the harness makes figures of them.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from recipes.job import Job, Predict
from recipes.split import Split

WARM_UP = 10  # calls at least
FORESEEN = 1000  # batches drawn to learn which lengths there are
SHAPE = 8  # tokens that batches differ by for a library that compiles for each shape
Draw = Callable[[], np.ndarray]  # the rows of the next batch


def measure(job: Job, predict: Predict, split: Split) -> None:
    """Time calls of `predict` on batches of each of `measure.batch_sizes` texts, after a warm-up.

    Texts have their real lengths, in no order. Which they are, no seed of a run decides: all libraries get the same.
    """
    found: dict[str, Any] = {}
    for size in job.measure["batch_sizes"]:
        calls = latencies(predict, split, size, job.measure["calls"], job.measure["seconds"])
        found[f"seconds_{size}"], found[f"tokens_{size}"] = calls
    np.savez_compressed(job.folder / "inference.npz", **found)


def latencies(predict: Predict, split: Split, size: int, calls: int, seconds: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the seconds (float64) and real tokens (int32) of calls with `size` texts, after a warm-up."""
    warm_up(predict, split, drawn(split, size, stream=0))
    return timed(predict, split, drawn(split, size, stream=1), calls, seconds)


def drawn(split: Split, size: int, stream: int) -> Draw:
    """Return a function that draws the rows of batch after batch, in each stream others."""
    generator = np.random.default_rng([size, stream])
    return lambda: generator.integers(len(split), size=size)


def warm_up(predict: Predict, split: Split, draw: Draw) -> None:
    """Predict batches until no call is a first one: not of this size, nor of any length that is likely to come.

    They are others than those measured. A library that compiles for each shape has done so by then, as in a service
    that has run for a while.
    """
    seen = set()
    for number in range(FORESEEN):
        rows = draw()
        shape = -(-int(split.lengths[rows].max()) // SHAPE)
        if number < WARM_UP or shape not in seen:
            predict(split.batch(rows))
            seen.add(shape)


def timed(predict: Predict, split: Split, draw: Draw, calls: int, seconds: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the seconds and real tokens of each call, of so many and for so long at least."""
    taken: list[float] = []
    tokens: list[int] = []
    total = 0.0
    while len(taken) < calls or total < seconds:
        rows = draw()
        batch = split.batch(rows)
        start = time.perf_counter()
        predict(batch)
        taken.append(time.perf_counter() - start)
        tokens.append(split.lengths[rows].sum())
        total += taken[-1]
    return np.array(taken), np.array(tokens, np.int32)
