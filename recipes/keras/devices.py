"""The devices that Keras computes on, for each of its backends."""

import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager

import keras

from recipes.contract.job import Job

BACKEND = keras.config.backend()
if BACKEND == "tensorflow":
    import tensorflow as tf

    from recipes.on_tensorflow import devices as on_tensorflow  # which settles threads
elif BACKEND == "jax":
    import jax


def prepare(job: Job) -> Callable[[], AbstractContextManager]:
    """Settle seed and devices; return the scope in which a model is built and trained on all of the job's devices."""
    if job.settings["backend"] != BACKEND:
        raise ValueError(f"recipe.backend={job.settings['backend']}, but in this environment Keras runs on {BACKEND}.")
    deterministic = job.compile == "none"  # TensorFlow's operations: where they are to be, Keras has XLA compile none
    names = on_tensorflow.devices(job, deterministic) if BACKEND == "tensorflow" else devices(job)
    keras.utils.set_random_seed(job.seed)
    if job.processes == 1:
        return contextlib.nullcontext
    if BACKEND == "tensorflow":
        return tf.distribute.MirroredStrategy(names).scope
    return keras.distribution.DataParallel(devices=names).scope


def devices(job: Job) -> list[str]:
    """Return the names of the devices that share a job on JAX, after seeing to it that there are as many."""
    if job.processes > 1 and job.placement.use_cpu:  # before the first computation
        jax.config.update("jax_num_cpu_devices", job.processes)
    kind = "cpu" if job.placement.use_cpu else "gpu"
    return [f"{kind}:{number}" for number in range(job.processes)]
