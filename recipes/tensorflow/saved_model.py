"""The trained model as a SavedModel, a format of scripts/export.py (see recipes/worker/export.py)."""

from pathlib import Path

from recipes.contract.job import Job, Predict
from recipes.on_tensorflow import saved_model
from recipes.on_tensorflow.batches import predictor
from recipes.on_tensorflow.saved_model import load
from recipes.tensorflow.model import saved

__all__ = ["export", "load"]


def export(job: Job, path: Path) -> Predict:
    model = saved(job)
    saved_model.write(model, model.logits, path)
    return predictor(model)
