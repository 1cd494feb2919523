"""What a sweep will take, in time and disk, told from the finished runs that are most like its own."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.results import reading
from harness.results.reading import Result
from harness.runs.row import Row
from harness.sweeps.record import Run
from harness.use.export import FORMATS

SAME = ("recipe", "model", "precision", "environment")  # what runs must share, to be compared at all
# the more of these, in this order, the better
NEARER = ("data", "threads", "placement", "protocol", "train.rows", "train.epochs")
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


def finished(outputs: Path) -> list[Result]:
    """Return all finished runs in a folder of results."""
    return [one for one in reading.read(outputs) if one.finished] if outputs.is_dir() else []


def estimate(run: Run, results: Sequence[Result]) -> Estimate | None:
    """Tell what a run will take from the finished ones that are most like it; None where none is like it.

    Training is scaled by rows x epochs, the rest is taken as it was.
    """
    like = Row(run.like)
    near = [one for one in results if all(one.row.get(key) == like[key] for key in SAME)]
    for key in NEARER:
        near = [one for one in near if one.row.get(key) == like[key]] or near
    if not near:
        return None
    rows = [one.row for one in near]
    outside = statistics.mean(row["worker.seconds"] - (row["train.seconds"] or 0) for row in rows)
    training = statistics.mean((row["train.seconds"] or 0) * work(like) / work(row) for row in rows)
    after = statistics.mean(sum(row.get(f"phase.{name}.seconds") or 0 for name in AFTER) for row in rows)
    megabytes = statistics.mean(size_mb(one.folder) for one in near)
    scaled = any(work(row) != work(like) for row in rows)
    return Estimate(outside + training, after, megabytes, len(near), scaled)


def work(row: Row) -> int:
    """Return how many texts a training goes through."""
    return row["train.rows"] * (row["train.epochs"] or 1)


def size_mb(folder: Path) -> float:
    """Return what a run's folder takes with all below it, in MB (10^6 bytes), but for what was exported since."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return sum(path.stat().st_size for path in files if path.relative_to(folder).parts[0] not in FORMATS) / 1e6
