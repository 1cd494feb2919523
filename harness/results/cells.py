"""What one machine does with all recipes, in tables: scripts/benchmark.py gpu (harness/sweeps/bench.py) leaves it."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

FILE = "cells.json"
BARE, WAYS = "bare loop", ("eager", "graph", "packed")  # of benchmarks/plain_torch.py
COLUMNS = (
    "", "compile, batches", "samples/s", "steady samples/s", "beside bare eager", "share of the peak", "first step s",
    "to compile s", "memory MB", "latency of 1 ms", "of 32 ms",
)  # fmt: skip

Cell = dict[str, Any]


def named(recipe: Sequence[str], job: str, precision: str) -> str:
    """Return the name of a cell."""
    return "; ".join([" ".join(word.rpartition("=")[2] for word in recipe), job, precision])


def tables(folder: Path) -> list[str]:
    """Return the lines of the tables of a machine, one for each job and precision, in Markdown."""
    kept = json.loads((folder / FILE).read_text(encoding="utf-8"))
    groups: dict[tuple[str, str], dict[str, Cell]] = {}
    for name, cell in kept["cells"].items():
        recipe, job, precision = name.split("; ")
        groups.setdefault((job, precision), {})[recipe] = cell
    dates = sorted({cell["date"] for cell in kept["cells"].values()})
    versions = sorted({one for cell in kept["cells"].values() for one in (cell.get("versions") or "").split()})
    lines = [f"{kept['machine']}; {' to '.join(dict.fromkeys((dates[0], dates[-1])))}; {', '.join(versions)}", ""]
    for (job, precision), cells in sorted(groups.items(), reverse=True):
        lines += [f"**{job}, {precision}**", "", *table(cells), ""]
    return lines


def table(cells: Mapping[str, Cell]) -> list[str]:
    """Return the table of one job and precision: the bare loops, then the recipes, the fastest first.

    Steady is a batch in the median time of a step; the bare loops tell that of their last epoch. The peak is that of
    the fastest matrix product that any library reached here in this precision.
    """
    peak = max((cell.get("compute.peak_gflops") or 0.0 for cell in cells.values()), default=0.0)
    eager = steady(cells.get(f"{BARE} {WAYS[0]}", {}))
    order = sorted(cells, key=lambda name: (not name.startswith(BARE), -(steady(cells[name]) or 0.0), name))
    rows = [f"| {name} | {' | '.join(row(cells[name], eager, peak))} |" for name in order]
    return [f"| {' | '.join(COLUMNS)} |", f"| --- | --- |{' ---: |' * (len(COLUMNS) - 2)}", *rows]


def row(cell: Cell, eager: float | None, peak: float) -> list[str]:
    """Return the columns of a cell after its name."""
    if why := cell.get("refused") or cell.get("failed"):
        return [f"{'not here' if 'refused' in cell else 'failed'}: {why}", *[""] * (len(COLUMNS) - 2)]
    useful, seconds, rate = cell.get("compute.useful_gflop"), cell.get("train.seconds"), steady(cell)
    ways = ", ".join(cell[key] for key in ("compile", "batches") if key in cell)
    return [
        ways,
        shown(cell.get("train.samples_per_second"), "{:,.0f}"),
        shown(rate, "{:,.0f}"),
        shown(rate / eager if rate and eager else None, "{:.2f}"),
        shown(useful / seconds / peak if useful and seconds and peak else None, "{:.4f}"),
        shown(cell.get("train.first_step_seconds"), "{:.2f}"),
        shown(cell.get("train.compile_seconds"), "{:.1f}"),
        shown(memory(cell), "{:,.0f}"),
        shown(cell.get("inference.batch1.p50_ms"), "{:.1f}"),
        shown(cell.get("inference.batch32.p50_ms"), "{:.1f}"),
    ]


def memory(cell: Cell) -> float | None:
    """Return what the library held of the GPU at most, or our process of it, or of the machine, in MB (10^6 bytes)."""
    kinds = ("gpu_allocated_peak_mb", "gpu_process_peak_mb", "kernel_peak_rss_mb")
    return next((found for kind in kinds if (found := cell.get(f"memory.{kind}"))), None)


def steady(cell: Cell) -> float | None:
    """Return samples a second once all is compiled and planned."""
    step = cell.get("train.step_seconds_median")
    return cell["train.batch_size"] / step if step else None


def shown(value: float | None, form: str) -> str:
    return "" if value is None else form.format(value)
