"""The trained model as StableHLO, a format of scripts/export.py (see recipes/worker/export.py)."""

from pathlib import Path

import jax

from recipes.contract.job import Job, Predict
from recipes.on_jax import stablehlo
from recipes.on_jax.stablehlo import load
from recipes.trax.model import classifier, saved
from recipes.trax.recipe import predictor

__all__ = ["export", "load"]


def export(job: Job, path: Path) -> Predict:
    bert, values = saved(job)
    model = classifier(job, bert, values, "eval")

    def logits(ids: jax.Array, mask: jax.Array) -> jax.Array:
        found, _ = model.pure_fn((ids, mask), model.weights, model.state, model.rng)
        return found

    stablehlo.write(logits, bert, path)
    return predictor(model, bert)
