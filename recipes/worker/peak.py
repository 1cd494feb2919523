"""The most that the machine does by a recipe's own framework, a large matrix product: what training is held against."""

import time

import numpy as np

from recipes.contract import frameworks
from recipes.contract.job import Job

SIZES = {"cpu": 2048, "gpu": 8192}  # rows and columns
AT_LEAST, SECONDS = 4, 1.0  # products, and how long they take together


def gflops(job: Job) -> float | None:
    """Return 10^9 operations a second of the fastest product, in the job's precision; None where nothing does it.

    The framework is the one that the recipe has imported; numpy, where it has none, knows no bf16.
    """
    framework, gpu = frameworks.main(), not job.placement.use_cpu
    size = SIZES["gpu" if gpu else "cpu"]
    values = np.random.default_rng(0).standard_normal((size, size), np.float32)
    if (matrix := framework.matrix(values, job.precision == "bf16", gpu)) is None:
        return None
    framework.wait()
    taken: list[float] = []
    while len(taken) < AT_LEAST or sum(taken) < SECONDS:
        start = time.perf_counter()
        framework.multiply(matrix)
        taken.append(time.perf_counter() - start)
    return round(2 * size**3 / min(taken) / 1e9, 1)
