"""The trained model as StableHLO, a format of scripts/export.py (see recipes/worker/export.py)."""

from pathlib import Path

import jax

from recipes.contract.job import Job, Predict
from recipes.jax.model import logits_of, saved
from recipes.jax.recipe import predictor
from recipes.on_jax import stablehlo
from recipes.on_jax.stablehlo import load
from recipes.on_jax.texts import Padded

__all__ = ["export", "load"]


def export(job: Job, path: Path) -> Predict:
    params, bert = saved(job)

    def logits(ids: jax.Array, mask: jax.Array) -> jax.Array:
        return logits_of(params, Padded(ids, mask), bert, job.pooling)

    stablehlo.write(logits, bert, path)
    return predictor(params, bert, job)
