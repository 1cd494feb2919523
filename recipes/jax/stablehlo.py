"""The trained model as StableHLO, a format of scripts/export.py (see recipes/worker/export.py)."""

from functools import partial
from pathlib import Path

from recipes.contract.job import Job, Predict
from recipes.jax.model import logits_of, saved
from recipes.jax.recipe import predictor
from recipes.on_jax import stablehlo
from recipes.on_jax.stablehlo import load

__all__ = ["export", "load"]


def export(job: Job, path: Path) -> Predict:
    params, bert = saved(job)
    stablehlo.write(partial(logits_of, params, bert=bert, pooling=job.pooling), bert, path)
    return predictor(params, bert, job)
