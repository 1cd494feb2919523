"""A trained model as ONNX: `python -m recipes.onnx JOB.json export|quantise|measure`, for scripts/export.py; no recipe.

The model is the Hugging Face folder that every recipe with an encoder leaves, whatever trained it. `export` writes it
with PyTorch, `quantise` turns its weights to int8; `measure` has nothing but onnxruntime loaded.
"""

import logging
import sys
import threading
import warnings
from pathlib import Path

import numpy as np

from recipes.contract.job import Batch, Job, Predict
from recipes.contract.split import padded, predict_split
from recipes.worker import inference
from recipes.worker.main import die_with_parent, told

MODEL, INT8 = "model.onnx", "model_int8.onnx"
CALLS, SECONDS = 100, 2.0  # at least so many calls, and so long


def main(path: str, action: str) -> int:
    """Run the action; return the exit code."""
    threading.Thread(target=die_with_parent, daemon=True).start()
    job = Job.read(Path(path))
    return told(job, lambda: {"export": export, "quantise": quantise, "measure": measure}[action](job))


def export(job: Job) -> None:
    """Write model.onnx, in which rows and tokens are any number, and PyTorch's logits of the last split."""
    import torch

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
        job.folder / MODEL,
        dynamo=True,
        input_names=list(inputs),
        output_names=["logits"],
        dynamic_shapes=[{0: "rows", 1: "tokens"}] * len(inputs),
        external_data=False,
        verbose=False,
    )
    np.save(job.folder / "torch.npy", predict_split(predictor(model, job), split))


def quantise(job: Job) -> None:
    """Write model_int8.onnx: weights in 8 bits, a scale for each channel; activations turned to 8 bits as they come."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(job.folder / MODEL, job.folder / INT8, per_channel=True, weight_type=QuantType.QInt8)


def measure(job: Job) -> None:
    """Save the logits of the last split, and the seconds of each call with 1 and with 32 of its texts."""
    predict, split = load(job), job.split(job.evaluated[-1])
    logits = predict_split(predict, split)
    one, many = (inference.latencies(predict, split, size, CALLS, SECONDS)[0] for size in (1, 32))
    np.savez(job.folder / "measured.npz", labels=split.labels, logits=logits, seconds_1=one, seconds_32=many)


def load(job: Job) -> Predict:
    """Return the function that predicts with the file that the settings name, by onnxruntime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = job.settings["threads"]
    providers = ["CPUExecutionProvider"]
    session = onnxruntime.InferenceSession(job.folder / job.settings["file"], options, providers)

    def predict(batch: Batch) -> np.ndarray:
        ids, mask = padded(batch.token_ids, job.settings["padding"])
        inputs = {"input_ids": ids.astype(np.int64), "attention_mask": mask.astype(np.int64)}
        return session.run(["logits"], inputs)[0]

    return predict


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
