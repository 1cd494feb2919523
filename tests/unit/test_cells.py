"""The tables of what one machine does with all recipes."""

import json
import re

from support import ROOT

from harness.results import cells

PLAIN = {"train.batch_size": 64, "date": "2026-11-27", "versions": "torch==2.13.0"}


def rows_of(tmp_path, **kept):
    (tmp_path / cells.FILE).write_text(json.dumps({"machine": "a machine", "cells": kept}), encoding="utf-8")
    lines = cells.tables(tmp_path)
    return lines, [[part.strip() for part in line.split("|")[1:-1]] for line in lines if re.match(r"\| \w", line)]


def test_the_bare_loops_come_first_and_the_fastest_recipe_next_and_ratios_are_of_steady_steps(tmp_path):
    job = "titles; fp32"
    lines, rows = rows_of(
        tmp_path,
        **{
            f"slow; {job}": {**PLAIN, "train.step_seconds_median": 0.64, "compile": "none", "batches": "padded"},
            f"fast; {job}": {
                **PLAIN,
                "train.step_seconds_median": 0.16,
                "train.seconds": 10.0,
                "compute.useful_gflop": 200.0,
                "compute.peak_gflops": 80.0,
            },
            f"none; {job}": {**PLAIN, "refused": "there is no GPU here."},
            f"bare loop eager; {job}": {**PLAIN, "train.step_seconds_median": 0.32},
        },
    )
    assert lines[0] == "a machine; 2026-11-27; torch==2.13.0"
    assert [row[0] for row in rows] == ["bare loop eager", "fast", "slow", "none"]
    found = {row[0]: dict(zip(cells.COLUMNS, row, strict=True)) for row in rows}
    assert [found[name]["beside bare eager"] for name in ("fast", "slow")] == ["2.00", "0.50"]
    assert found["fast"]["share of the peak"] == "0.2500"
    assert found["slow"]["compile, batches"] == "none, padded"
    assert "no GPU" in found["none"]["compile, batches"]


def test_each_job_and_precision_has_a_table_of_its_own(tmp_path):
    step = {**PLAIN, "train.step_seconds_median": 0.32}
    names = [f"torch; {job}; {precision}" for job in ("titles", "descriptions") for precision in ("fp32", "bf16")]
    lines, rows = rows_of(tmp_path, **dict.fromkeys(names, step))
    assert [line for line in lines if line.startswith("**")] == [
        "**titles, fp32**", "**titles, bf16**", "**descriptions, fp32**", "**descriptions, bf16**",
    ]  # fmt: skip
    assert len(rows) == 4


def test_every_kept_machine_stands_on_the_page_of_gpus():
    page = (ROOT / "docs" / "gpu.md").read_text(encoding="utf-8")
    for folder in (ROOT / "outputs" / "reference" / "machines").iterdir():
        for line in cells.tables(folder):
            assert line in page
