"""What a sweep will take, in time and disk, told from the finished runs that are most like its own."""

import json
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.sweeps.record import Run

SAME = ("recipe", "model", "precision", "environment")  # what runs must share, to be compared at all
NEARER = (
    "data",
    "threads",
    "placement",
    "protocol",
    "train.rows",
    "train.epochs",
)  # the more of these, in this order, the better
AFTER = ("save", "evaluate_valid", "evaluate_test", "reload_import", "cold_load", "inference")  # phases after training


@dataclass
class Estimate:
    """What one run will take: seconds in all, and after training; MB on disk; told from so many runs, scaled or not."""

    seconds: float
    after: float
    megabytes: float
    runs: int
    scaled: bool

    @property
    def source(self) -> str:
        return f"{self.runs} {'run' if self.runs == 1 else 'runs'}" + (", scaled" if self.scaled else "")


def finished_rows(outputs: Path) -> list[dict[str, Any]]:
    """Return the rows of all finished runs, with their `folder`."""
    rows = []
    for path in outputs.glob("*/[!.]*/result.json"):
        row = json.loads(path.read_text(encoding="utf-8"))
        if row["status"] == "finished":
            rows.append(row | {"folder": path.parent})
    return rows


def estimate(run: Run, rows: list[dict[str, Any]]) -> Estimate | None:
    """Tell what a run will take from the finished ones that are most like it; None where none is like it.

    Training is scaled by rows x epochs, the rest is taken as it was.
    """
    rows = [row for row in rows if all(row.get(key) == run.like[key] for key in SAME)]
    for key in NEARER:
        rows = [row for row in rows if row.get(key) == run.like[key]] or rows
    if not rows:
        return None
    outside = statistics.mean(row["worker.seconds"] - (row["train.seconds"] or 0) for row in rows)
    training = statistics.mean((row["train.seconds"] or 0) * work(run.like) / work(row) for row in rows)
    after = statistics.mean(sum(row.get(f"phase.{name}.seconds") or 0 for name in AFTER) for row in rows)
    megabytes = statistics.mean(size_mb(row["folder"]) for row in rows)
    scaled = any(work(row) != work(run.like) for row in rows)
    return Estimate(outside + training, after, megabytes, len(rows), scaled)


def work(row: dict[str, Any]) -> int:
    return row["train.rows"] * (row["train.epochs"] or 1)


def size_mb(folder: Path) -> float:
    """Return what a folder takes with all below it, in MB (10^6 bytes)."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6
