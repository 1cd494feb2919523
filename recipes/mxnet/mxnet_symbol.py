"""The trained model as MXNet's own format, a graph in JSON and its parameters (see recipes/worker/export.py)."""

from pathlib import Path

import mxnet as mx
import numpy as np
from mxnet.gluon import SymbolBlock

from recipes.contract.job import Batch, Job, Predict
from recipes.contract.split import rows_of
from recipes.mxnet.batches import pad
from recipes.mxnet.model import saved
from recipes.mxnet.recipe import predictor

INPUTS = ["data0", "data1"]  # as HybridBlock.export names them: token ids and lengths


def export(job: Job, path: Path) -> Predict:
    model = saved(job)
    model.hybridize()
    model(mx.nd.ones((1, 1)), mx.nd.ones(1))  # it has its graph from the first call on
    path.mkdir()
    model.export(str(path / "model"))
    return predictor(model)


def load(job: Job, path: Path) -> Predict:
    """Return the function that predicts with what `export` left."""
    model = SymbolBlock.imports(str(path / "model-symbol.json"), INPUTS, str(path / "model-0000.params"))
    model.hybridize(static_alloc=True)

    def predict(batch: Batch) -> np.ndarray | list[np.ndarray]:
        return rows_of(model(*map(mx.nd.array, pad(batch.token_ids, job.settings["padding"]))).asnumpy(), batch)

    return predict
