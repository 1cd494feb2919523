"""The devices that TensorFlow computes on, with how many threads, and that the same comes out each time.

All of it is settled before the first computation: threads by importing this.
"""

import os

import tensorflow as tf

from recipes.contract.job import Job

tf.config.threading.set_intra_op_parallelism_threads(int(os.environ.get("OMP_NUM_THREADS", 0)))
tf.config.threading.set_inter_op_parallelism_threads(int(os.environ.get("OMP_NUM_THREADS", 0)))
if not os.environ.get("CUDA_VISIBLE_DEVICES", "all"):  # placed on the processors: a plugin may bring other GPUs
    tf.config.set_visible_devices([], "GPU")


def devices(job: Job, deterministic: bool = True) -> list[str]:
    """Return the names of the devices that share the rows of each batch, after seeing to it that there are as many."""
    if deterministic:
        tf.config.experimental.enable_op_determinism()
    if job.processes > 1 and job.placement.use_cpu:
        logical = [tf.config.LogicalDeviceConfiguration()] * job.processes
        tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], logical)
    kind = "cpu" if job.placement.use_cpu else "gpu"
    return [f"{kind}:{number}" for number in range(job.processes)]
