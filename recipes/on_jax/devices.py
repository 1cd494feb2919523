"""The devices of a job: one, or several that share the rows of each batch."""

import jax
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from recipes.contract.job import Job


def shardings(job: Job) -> tuple[NamedSharding, NamedSharding]:
    """Return where arrays lie: whole on every device, and (steps, batches, rows, …) with the rows shared among them.

    JAX sees from these alone what each device is to compute, and where their gradients are to be added up.
    """
    if job.processes > 1 and job.placement.use_cpu:  # as many devices, before the first computation
        jax.config.update("jax_num_cpu_devices", job.processes)
    devices = jax.devices()[: job.processes]
    mesh = jax.make_mesh((len(devices),), ("rows",), axis_types=(AxisType.Auto,), devices=devices)
    return NamedSharding(mesh, PartitionSpec()), NamedSharding(mesh, PartitionSpec(None, None, "rows"))
