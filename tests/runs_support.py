"""Whole folders of finished runs, made up: what a run of each task leaves of predictions, configuration and reports."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from results_support import row

from harness.figures import outputs
from harness.figures.metrics import METRICS
from recipes.contract.ragged import Ragged

LABELS = {
    "classification": ["care", "cooking | kitchen", "welding"],
    "multilabel": ["care", "night", "welding"],
    "tagging": ["B-skill", "I-skill", "O"],
    "regression": ["salary"],
}
SCALE = (30_000.0, 5_000.0)


def logits(task: str, rows: int, seed: int = 0) -> tuple[Any, Any]:
    """Return labels and outputs of a split, as the figures take them: two thirds of them right, and some sure."""
    draw, names = np.random.default_rng(seed), len(LABELS[task])
    if task == "regression":
        labels = draw.normal(SCALE[0], SCALE[1], rows)
        return labels, labels[:, None] + draw.normal(0, 2_000, (rows, 1))
    if task == "multilabel":
        labels = draw.integers(0, 2, (rows, names)).astype(np.uint8)
        return labels, (2.0 * labels - 1 + draw.normal(0, 1.5, labels.shape)).astype(np.float32)
    number = rows * 4 if task == "tagging" else rows
    labels = draw.integers(0, names, number).astype(np.int32)
    said = draw.normal(0, 1, (number, names)).astype(np.float32)
    said[np.arange(number), labels] += 1.5
    offsets = np.arange(0, number + 1, 4)
    return (Ragged(labels, offsets), Ragged(said, offsets)) if task == "tagging" else (labels, said)


def write(
    folder: Path, task: str = "classification", rows: int = 90, texts: list[str] | None = None, **config: Any
) -> dict[str, Any]:
    """Write a run's folder, of `config` the sections data and model; return its row."""
    model = {"name": "minilm", "hub": "owner/encoder", "path": None, "from_scratch": None, "pooling": "mean",
             "language": "en", "licence": "apache-2.0"}  # fmt: skip
    data = {"name": "csv", "text": ["title"], "label": "class", "licence": None}
    chosen = {"model": model | config.get("model", {}), "data": data | config.get("data", {})}
    made = row("hf_trainer", 0, data="csv", task=task, words=["data=csv", "data.train=/home/me/secret/jobs.csv"])
    made = {key: value for key, value in made.items() if not key.startswith(("valid.", "test."))}
    made |= {"task": task, "library_versions": "torch==2.13.0", "revision": "0" * 12}
    (folder / "model").mkdir(parents=True)
    splits, details, where = {}, {}, {}
    for seed, split in enumerate(("valid", "test")):
        labels, said = logits(task, rows, seed)
        made |= {f"{split}.{key}": one for key, one in METRICS[task].scores(labels, said, LABELS[task]).items()}
        details[split] = METRICS[task].details(labels, said, LABELS[task])
        flat = [one.values if isinstance(one, Ragged) else one for one in (labels, said)]
        arrays = {"row_ids": np.arange(rows), "labels": flat[0], "logits": flat[1]}
        arrays |= {"offsets": labels.offsets} if isinstance(labels, Ragged) else {}
        np.savez(folder / f"predictions_{split}.npz", **arrays)
        outputs.keep_counted(task, labels, said, LABELS[task], folder, split)
        splits[split], where[split] = {"rows": rows}, {"data": f"/nowhere/{split}"}
    source = {"train": {"file": "/home/me/secret/jobs.csv", "sha256": "s"}}
    tokens = {"max_length": 64, "splits": {"train": {"truncated": 0.02}}}
    report = {"source": source, "splits": {"train": {"rows": 300}} | splits, "tokens": tokens}
    report |= {"scale": {"mean": SCALE[0], "standard_deviation": SCALE[1]}} if task == "regression" else {}
    files = {
        "result.json": made, "metrics.json": details, "data_report.json": report,
        "job.json": {"recipe": "hf_trainer", "labels": LABELS[task], "task": task, "splits": where},
        "config.yaml": {"recipe": {"name": "hf_trainer", "environment": "hf_trainer"}, "env": "managed",
                        "threads": None, "evaluate": ["valid", "test"], **chosen},
        "model/config.json": {"model_type": "bert"},
    }  # fmt: skip
    for name, values in files.items():
        (folder / name).write_text(json.dumps(values), encoding="utf-8")
    for name in ("model.safetensors", "head.safetensors"):
        (folder / "model" / name).write_bytes(b"x" * 10)
    return made
