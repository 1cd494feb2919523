"""A job as tests of the contract need it: one process, nothing to train on."""

from pathlib import Path
from typing import Any

from recipes.contract.job import Every, Job, Placement, Train


def a_job(folder: Path, **values: Any) -> Job:
    """Return a job in `folder`, with these values in place of plain ones."""
    plain: dict[str, Any] = {
        "recipe": "nothing", "seed": 0, "precision": "fp32", "labels": (), "protocol": "native", "settings": {},
        "train": Train(epochs=1, batch_size=8), "placement": Placement(), "checkpoint": Every(), "weights": None,
        "pooling": None, "dropout": None, "splits": {},
    }  # fmt: skip
    return Job(folder, **plain | values)
