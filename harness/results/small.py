"""A run in small, as outputs/reference/ keeps it: what scripts/compare.py and scripts/choose.py read, and no model."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from harness.base.home import locked
from harness.results.reading import Result


def keep(result: Result, place: Path) -> Path:
    """Write a finished run below `place` as DATA/NAME, over what is there; return the folder."""
    folder = place / result.row["data"] / result.folder.name
    with locked(place.with_name(f".{place.name}.lock"), str(place)):
        part = folder.with_name(f".{folder.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        write(result, part)
        shutil.rmtree(folder, ignore_errors=True)
        part.rename(folder)
    return folder


def write(result: Result, folder: Path) -> None:
    """Write the files of a run into an empty folder."""
    for split in ("valid", "test"):
        if f"{split}.{result.metrics.primary}" in result.row:
            labels, predicted = map(smaller, result.predictions(split))
            names = np.array(result.classes or [])
            np.savez_compressed(folder / f"predictions_{split}.npz", labels=labels, predicted=predicted, classes=names)
    if result.latencies:  # to a tenth of a microsecond
        calls: dict[str, Any] = {
            f"seconds_{size}": calls.astype(np.float32) for size, calls in result.latencies.items()
        }
        np.savez_compressed(folder / "inference.npz", **calls)
    curve = ["step,loss", *(f"{step},{loss:.6g}" for step, loss in result.curve)]
    (folder / "curve.csv").write_text("\n".join(curve) + "\n", encoding="utf-8")
    (folder / "result.json").write_text(
        json.dumps({**result.row}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )


def smaller(labels: np.ndarray) -> np.ndarray:
    """Return numbers of classes in two bytes each; labels of other kinds as they are."""
    return labels.astype(np.int16) if labels.dtype == np.int32 else labels
