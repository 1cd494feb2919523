"""The figures of a run that are about time: made here, of what the worker and the system told, and nowhere else."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from harness.runs.outcome import Outcome

PERCENTILES = (50, 90, 95, 99)
WARM_UP_STEPS = 10


def inference(working: Path, outcome: Outcome) -> dict[str, float | None]:
    """Return the figures of predicting with the saved model; inference.npz has the calls they are of."""
    figures: dict[str, float | None] = {"inference.cold_start_seconds": outcome.cold_start}
    path = working / "inference.npz"
    if outcome.status == "finished" and path.exists():
        with np.load(path) as calls:
            for name in calls.files:
                if name.startswith("seconds_"):
                    size = int(name.removeprefix("seconds_"))
                    figures |= {f"inference.batch{size}.{key}": x for key, x in of_calls(calls[name], size).items()}
                    if f"preparing_{size}" in calls:
                        alone = of_calls(calls[name] - calls[f"preparing_{size}"], size)
                        del alone["calls"]
                        figures |= {f"inference.batch{size}.model.{key}": x for key, x in alone.items()}
    return figures


def of_calls(seconds: np.ndarray, texts: int) -> dict[str, float]:
    """Return the figures of calls from the seconds each took for so many texts; percentiles by linear interpolation."""
    values = np.percentile(seconds, PERCENTILES) * 1000
    figures = {f"p{rank}_ms": round(float(value), 4) for rank, value in zip(PERCENTILES, values, strict=True)}
    rate = round(texts * len(seconds) / float(seconds.sum()), 2)
    return {"calls": len(seconds), **figures, "texts_per_second": rate}


def steps(start: float, reported: Sequence[tuple[int, float]]) -> dict[str, float | None]:
    """Return the figures of the steps of a training that began at `start`, from when each of some was told.

    Between two that were told a step takes the mean; what comes before step 10 is no part of the steady figures.
    """
    first = reported[0][1] - start if reported and reported[0][0] == 1 else None
    steady = [told for told in reported if told[0] >= WARM_UP_STEPS]
    each = [(time - before) / (step - last) for (last, before), (step, time) in pairwise(steady) if step > last]
    median, p10, p90 = np.percentile(each, (50, 10, 90)) if each else (None, None, None)
    figures = {"first_step_seconds": first, "step_seconds_median": median}
    figures |= {"step_seconds_p10": p10, "step_seconds_p90": p90}
    return {f"train.{key}": None if value is None else round(float(value), 5) for key, value in figures.items()}
