"""The figures of a run that are about time: made here, of what the worker and the system told, and nowhere else."""

from pathlib import Path
from typing import Any

import numpy as np

from harness.launch import Outcome

PERCENTILES = (50, 90, 95, 99)


def inference(working: Path, outcome: Outcome) -> dict[str, Any]:
    """Return the figures of predicting with the saved model; inference.npz has the calls they are of."""
    figures: dict[str, Any] = {"inference.cold_start_seconds": outcome.cold_start}
    path = working / "inference.npz"
    if outcome.status == "finished" and path.exists():
        with np.load(path) as calls:
            for name in calls.files:
                if name.startswith("seconds_"):
                    size = int(name.removeprefix("seconds_"))
                    figures |= {f"inference.batch{size}.{key}": x for key, x in of_calls(calls[name], size).items()}
    return figures


def of_calls(seconds: np.ndarray, texts: int) -> dict[str, float]:
    """Return the figures of calls from the seconds each took for so many texts; percentiles by linear interpolation."""
    values = np.percentile(seconds, PERCENTILES) * 1000
    figures = {f"p{rank}_ms": round(float(value), 4) for rank, value in zip(PERCENTILES, values, strict=True)}
    rate = round(texts * len(seconds) / float(seconds.sum()), 2)
    return {"calls": len(seconds), **figures, "texts_per_second": rate}
