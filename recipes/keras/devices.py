"""The devices that Keras computes on, and with how many threads, for each of its backends."""

import contextlib
import os
from collections.abc import Callable
from contextlib import AbstractContextManager

import keras

from recipes.contract.job import Job

BACKEND = keras.config.backend()
if BACKEND == "tensorflow":  # its threads and its determinism are settled before its first computation
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(int(os.environ.get("OMP_NUM_THREADS", 0)))
    tf.config.threading.set_inter_op_parallelism_threads(int(os.environ.get("OMP_NUM_THREADS", 0)))
    tf.config.experimental.enable_op_determinism()
    if not os.environ.get("CUDA_VISIBLE_DEVICES", "all"):  # placed on the processors: a plugin may bring other GPUs
        tf.config.set_visible_devices([], "GPU")
elif BACKEND == "jax":
    import jax


def prepare(job: Job) -> Callable[[], AbstractContextManager]:
    """Settle seed and devices; return the scope in which a model is built and trained on all of the job's devices."""
    if job.settings["backend"] != BACKEND:
        raise ValueError(f"recipe.backend={job.settings['backend']}, but in this environment Keras runs on {BACKEND}.")
    if job.processes > 1 and job.placement.use_cpu:  # as many devices, before the first computation
        if BACKEND == "tensorflow":
            logical = [tf.config.LogicalDeviceConfiguration()] * job.processes
            tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], logical)
        else:
            jax.config.update("jax_num_cpu_devices", job.processes)
    keras.utils.set_random_seed(job.seed)
    if job.processes == 1:
        return contextlib.nullcontext
    kind = "cpu" if job.placement.use_cpu else "gpu"
    devices = [f"{kind}:{number}" for number in range(job.processes)]
    if BACKEND == "tensorflow":
        return tf.distribute.MirroredStrategy(devices).scope
    return keras.distribution.DataParallel(devices=devices).scope
