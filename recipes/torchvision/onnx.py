"""A trained network as ONNX, a format of scripts/export.py (see recipes/worker/export.py); in its own environment.

What it takes are pictures as they are, uint8: how they are scaled is a part of the graph.
"""

import logging
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import nn

from recipes.contract.job import Batch, Job, Predict
from recipes.contract.split import InTwo
from recipes.torchvision.data import normalize, page_of, picture_of
from recipes.torchvision.model import config_of, predictor, saved


class OfPictures(nn.Module):
    """A network for pictures as they are: uint8 (rows, channels, height, width) -> logits (rows, labels)."""

    def __init__(self, network: nn.Module, channels: int):
        super().__init__()
        self.network, scale = network, normalize(channels)
        self.register_buffer("mean", torch.tensor(scale.mean)[:, None, None])
        self.register_buffer("std", torch.tensor(scale.std)[:, None, None])

    def forward(self, pictures):
        return self.network((pictures.float() / 255 - self.mean) / self.std)


def export(job: Job, path: Path) -> Predict:
    """Write model.onnx, in which rows are any number; return the function that predicts by PyTorch."""
    warnings.filterwarnings("ignore", module=r"torch\.onnx|copyreg")  # of torch's own making
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    model, config = saved(job)
    size = (config["channels"], config["height"], config["width"])
    torch.onnx.export(
        OfPictures(model, config["channels"]).eval(),
        (torch.zeros((2, *size), dtype=torch.uint8),),  # a size of 1 would be taken for fixed
        path,
        dynamo=True,
        input_names=["pictures"],
        output_names=["logits"],
        dynamic_shapes=[{0: "rows"}],
        external_data=False,
        verbose=False,
    )
    return predictor(model, config, job)


def load(job: Job, path: Path) -> Predict:
    """Return the function that predicts with a file, by onnxruntime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = job.settings["threads"]
    session = onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"])
    page = page_of(config_of(job))

    def prepare(batch: Batch) -> np.ndarray:
        return np.stack([picture_of(page, batch, place).numpy() for place in range(len(batch))])

    return InTwo(prepare, lambda pictures: session.run(["logits"], {"pictures": pictures})[0])
