"""The trained model as StableHLO, a format of scripts/export.py (see recipes/worker/export.py)."""

from pathlib import Path

from flax import nnx

from recipes.contract.job import Job, Predict
from recipes.flax.model import saved
from recipes.flax.recipe import predictor
from recipes.on_jax import stablehlo
from recipes.on_jax.stablehlo import load
from recipes.on_jax.texts import Padded

__all__ = ["export", "load"]


def export(job: Job, path: Path) -> Predict:
    model = saved(job)
    predicting = nnx.view(model, deterministic=True)
    stablehlo.write(lambda ids, mask: predicting(Padded(ids, mask)), model.encoder.bert, path)
    return predictor(model)
