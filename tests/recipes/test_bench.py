"""scripts/benchmark.py gpu, on processors: each cell measured and kept, and what is missing done by the same words."""

import json
import subprocess

from support import ROOT, script

SMALL = [
    "placement=cpu", "threads=1", "data.train_size=64", "train.epochs=2", "train.batch_size=32", "measure.calls=2",
    "measure.seconds=0", "model=small", "model.shape.num_hidden_layers=1", "model.shape.hidden_size=64",
    "model.shape.num_attention_heads=2", "model.shape.intermediate_size=64",
]  # fmt: skip


def bench(folder, *words):
    command = [*script("scripts/benchmark.py", "gpu", "torch", *SMALL, *words), "--folder", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    path = folder / "cells.json"
    kept = json.loads(path.read_text(encoding="utf-8"))["cells"] if path.exists() else {}
    return done, kept


def test_a_benchmark_goes_on_with_the_cells_that_are_missing_and_prints_them_all(tmp_path):
    done, kept = bench(tmp_path, "--minutes", "0")
    assert (done.returncode, kept) == (1, {}), done.stderr
    assert "16 cells are missing yet" in done.stdout
    done, kept = bench(tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(kept) == 16
    measured = {name: cell for name, cell in kept.items() if "train.seconds" in cell}
    assert {name.split("; ")[0] for name in measured} == {"torch", "bare loop eager", "bare loop packed"}
    assert {cell["refused"] for cell in kept.values() if "refused" in cell} == {"CUDA graphs are of GPUs"}
    for name, cell in measured.items():
        assert cell["train.rows"] == 64
        assert 0 < cell["train.first_step_seconds"] < cell["train.seconds"]
        assert f"| {name.split('; ')[0]} |" in done.stdout
    done, _ = bench(tmp_path, "batches=packed")
    assert done.returncode == 2
    assert "give these, or another --folder" in done.stderr
    before = (tmp_path / "cells.json").read_bytes()
    assert bench(tmp_path)[0].returncode == 0
    assert (tmp_path / "cells.json").read_bytes() == before
