"""The controlled protocol: one head and one order of batches for all libraries, written into the job."""

from pathlib import Path
from typing import Any

import numpy as np

from harness.errors import UserError
from recipes.split import order_of_like_length

HEAD_DEVIATION = 0.02  # BERT's initializer_range


def check(config: dict[str, Any]) -> None:
    """Refuse what the protocol leaves no choice in; its precision is fp32."""
    recipe = config["recipe"]
    if not recipe["pretrained"]:
        raise UserError(f"protocol=controlled: recipe={recipe['name']} has no encoder; take protocol=native.", code=2)
    if config["precision"] not in ("auto", "fp32"):
        raise UserError("protocol=controlled is in fp32; leave precision= out, or take protocol=native.", code=2)
    config["precision"] = "fp32"


def write(
    folder: Path, config: dict[str, Any], rows_of_step: int, hidden: int, labels: int, lengths: np.ndarray
) -> None:
    """Write head.npz (weight (labels, hidden), bias (labels); float32) and order.npy (int64, (epochs, rows)).

    `rows_of_step`: those of one step of the optimiser, in all processes, which have texts of like length.
    """
    generator = np.random.default_rng(config["seed"])
    weight = generator.normal(0, HEAD_DEVIATION, (labels, hidden)).astype(np.float32)
    np.savez(folder / "head.npz", weight=weight, bias=np.zeros(labels, np.float32))
    epochs = range(config["train"]["epochs"])
    orders = [order_of_like_length(lengths, rows_of_step, generator) for _ in epochs]
    np.save(folder / "order.npy", np.stack(orders))
