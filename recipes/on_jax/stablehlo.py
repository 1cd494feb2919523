"""StableHLO, the language of XLA's compilers, as `jax.export` writes and reads it, for any rows and tokens."""

import json
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax import export

from recipes.contract.job import Batch, Job, Predict
from recipes.contract.split import rows_of
from recipes.on_jax.batches import prediction_batch
from recipes.weights.bert import Bert, described

PLATFORMS = ("cpu", "cuda")  # that the file can be run on


def write(logits: Callable[[jax.Array, jax.Array], jax.Array], bert: Bert, path: Path) -> None:
    """Write a function of ids and mask, int32 (rows, tokens), both of any number, to what the head gives."""
    shape = export.symbolic_shape("rows, tokens", constraints=[f"tokens <= {bert.longest}"])
    inputs = jax.ShapeDtypeStruct(shape, jnp.int32)
    path.write_bytes(export.export(jax.jit(logits), platforms=PLATFORMS)(inputs, inputs).serialize())


def load(job: Job, path: Path) -> Predict:
    """Return the function that predicts with a file that `write` left, compiled for few shapes."""
    bert = described(json.loads((job.model / "config.json").read_text(encoding="utf-8")), job.precision)
    call = jax.jit(export.deserialize(bytearray(path.read_bytes())).call)

    def predict(batch: Batch) -> np.ndarray | list[np.ndarray]:
        return rows_of(np.asarray(call(*prediction_batch(batch.token_ids, bert))), batch)

    return predict
