"""Checkpoints by orbax: the state of NNX modules, and the place of grain's iterator in the data."""

from pathlib import Path

import grain
import jax
import orbax.checkpoint as ocp
from flax import nnx

NAME = "orbax"  # orbax makes the folder itself


def save(folder: Path, state: nnx.State, batches: grain.DatasetIterator) -> None:
    """Write a checkpoint into a folder; it is whole when this returns."""
    what = ocp.args.Composite(state=ocp.args.StandardSave(state), data=grain.checkpoint.CheckpointSave(batches))
    with ocp.Checkpointer(ocp.CompositeCheckpointHandler()) as checkpointer:
        checkpointer.save(folder.absolute() / NAME, what)


def restored(folder: Path, state: nnx.State, batches: grain.DatasetIterator) -> nnx.State:
    """Return a state like `state`, on the same devices, as a checkpoint has it, and set the iterator to its place."""
    like = jax.tree.map(ocp.utils.to_shape_dtype_struct, state)
    what = ocp.args.Composite(state=ocp.args.StandardRestore(like), data=grain.checkpoint.CheckpointRestore(batches))
    with ocp.Checkpointer(ocp.CompositeCheckpointHandler()) as checkpointer:
        return checkpointer.restore(folder.absolute() / NAME, what).state
