"""A trained model as ONNX, a format of scripts/export.py (see recipes/worker/export.py); no recipe.

The model is the Hugging Face folder that every recipe with an encoder leaves, whatever trained it. `export` writes it
with PyTorch, `quantise` turns its weights to int8; `load` needs nothing but onnxruntime.
"""

import logging
import warnings
from pathlib import Path

import numpy as np

from recipes.contract.job import Batch, Job, Predict
from recipes.contract.split import padded, rows_of


def export(job: Job, path: Path) -> Predict:
    """Write model.onnx, in which rows and tokens are any number; return the function that predicts by PyTorch."""
    import torch

    import recipes.torchvision  # noqa: F401  transformers imports torchvision where it is: its operators come first
    from recipes.pytorch.batches import pad
    from recipes.pytorch.model import predictor, saved

    warnings.filterwarnings("ignore", module=r"torch\.onnx|copyreg")  # of torch's own making
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    model = saved(job).eval()
    split = job.split(job.evaluated[-1])
    longest = np.argsort(split.lengths)[-2:]  # two rows of several tokens: a size of 1 would be taken for fixed
    inputs = pad([split.token_ids[row] for row in longest], model.encoder.config.pad_token_id)
    torch.onnx.export(
        model,
        tuple(inputs.values()),
        path,
        dynamo=True,
        input_names=list(inputs),
        output_names=["logits"],
        dynamic_shapes=[{0: "rows", 1: "tokens"}] * len(inputs),
        external_data=False,
        verbose=False,
    )
    return predictor(model, job)


def quantise(job: Job, path: Path) -> None:
    """Write model_int8.onnx beside model.onnx: weights in 8 bits, a scale a channel; activations as they come."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(path.with_name("model.onnx"), path, per_channel=True, weight_type=QuantType.QInt8)


def load(job: Job, path: Path) -> Predict:
    """Return the function that predicts with a file, by onnxruntime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = job.settings["threads"]
    providers = ["CPUExecutionProvider"]
    session = onnxruntime.InferenceSession(path, options, providers)

    def predict(batch: Batch) -> np.ndarray | list[np.ndarray]:
        ids, mask = padded(batch.token_ids, job.settings["padding"])
        inputs = {"input_ids": ids.astype(np.int64), "attention_mask": mask.astype(np.int64)}
        return rows_of(session.run(["logits"], inputs)[0], batch)

    return predict
