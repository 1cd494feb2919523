"""The most that the machine does by a recipe's own framework, a large matrix product: what training is held against."""

import sys
import time

import numpy as np

from recipes.job import Job

SIZES = {"cpu": 2048, "gpu": 8192}  # rows and columns
AT_LEAST, SECONDS = 4, 1.0  # products, and how long they take together


def gflops(job: Job) -> float | None:
    """Return 10^9 operations a second of the fastest product, in the job's precision; None where nothing does it.

    The framework is the one that the recipe has imported; numpy, where it has none, knows no bf16.
    """
    size = SIZES["cpu" if job.placement["use_cpu"] else "gpu"]
    values = np.random.default_rng(0).standard_normal((size, size), np.float32)
    if (matrix := in_framework(values, job)) is None:
        return None
    taken: list[float] = []
    while len(taken) < AT_LEAST or sum(taken) < SECONDS:
        start = time.perf_counter()
        float((matrix @ matrix)[0, 0])  # a number: for it a device that works on its own is waited for
        taken.append(time.perf_counter() - start)
    return round(2 * size**3 / min(taken) / 1e9, 1)


def in_framework(values: np.ndarray, job: Job):
    """Return the matrix in the job's precision, on its device."""
    half = job.precision == "bf16"
    if torch := sys.modules.get("torch"):
        device = "cpu" if job.placement["use_cpu"] else "cuda"
        return torch.from_numpy(values).to(device, torch.bfloat16 if half else torch.float32)
    if jax := sys.modules.get("jax"):
        return jax.numpy.asarray(values, jax.numpy.bfloat16 if half else jax.numpy.float32)
    if tensorflow := sys.modules.get("tensorflow"):
        return tensorflow.cast(values, tensorflow.bfloat16 if half else tensorflow.float32)
    return None if half else values
