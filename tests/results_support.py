"""Folders of results as runs leave them, made up: predictions of a known quality, known times, in both forms."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import accuracy_score, f1_score

from harness.runs.identity import Identity

MACHINE = "a processor, 2 processors, 24 GiB, no GPU, Linux x86_64"


def predictions(
    labels: np.ndarray,
    skill: float,
    seeds: int,
    spread: float,
    draw: np.random.Generator,
    hard: np.ndarray | None = None,
) -> np.ndarray:
    """Return predictions (seeds, rows): right where `skill`, shifted by a seed, is above a row's hardness and noise."""
    hard = draw.normal(0, 1, len(labels)) if hard is None else hard
    ability = skill + draw.normal(0, spread, (seeds, 1))
    right = (hard + draw.normal(0, 1, (seeds, len(labels)))) / np.sqrt(2) < ability
    return np.where(right, labels, draw.integers(0, labels.max() + 1, right.shape))


def row(recipe: str, seed: int, **changed: Any) -> dict[str, Any]:
    """Return the row of a finished run; what is given by keyword has `__` for a dot."""
    encoder = recipe != "tfidf"
    phases = {"import": 350.0, "load_weights": 400.0, "train": 900.0, "evaluate_test": 600.0}
    made = {
        "schema": 1, "status": "finished", "reason": None, "attempts": 1, "log": None, "recipe": recipe,
        "data": "job_titles", "model": "minilm" if encoder else None, "protocol": "native",
        "precision": "fp32" if encoder else None, "seed": seed, "placement": "cpu", "processes": 1,
        "valid.rows": 100, "valid.accuracy": 0.6, "valid.macro_f1": 0.5, "test.rows": 100, "test.accuracy": 0.6,
        "test.macro_f1": 0.5, "train.rows": 300, "train.epochs": 4 if encoder else None,
        "train.batch_size": 64 if encoder else None, "train.accumulate": 1 if encoder else None, "train.seconds": 40.0,
        "train.samples_per_second": 400.0, **{f"memory.{name}.peak_rss_mb": peak for name, peak in phases.items()},
        "memory.peak_rss_mb": 900.0, "model.parameters": 22575001, "model.size_mb": 90.78, "environment": recipe,
        "environment.size_mb": 1138.4, "threads": 2, "machine": MACHINE, "data_digest": "d" * 64, "timing": "ok",
        "weights_digest": "w" * 64 if encoder else None, "inference.batch1.p50_ms": 8.0,
        "inference.batch1.p95_ms": 12.0, "inference.batch32.texts_per_second": 300.0,
    }  # fmt: skip
    words = [f"recipe={recipe}", f"seed={seed}", *changed.pop("words", [])]
    made["command"] = f"python train.py {' '.join(words)}"
    return made | {key.replace("__", "."): value for key, value in changed.items()}


def write(outputs: Path, made: dict[str, Any], small: bool = False, **splits: tuple[np.ndarray, np.ndarray]) -> Path:
    """Write a run's folder, with labels and predictions of its splits, and their figures in its row."""
    digest = f"{abs(hash(made['command'] + made['protocol'] + made['data_digest'])) % 16**8:08x}"
    folder = outputs / made["data"] / f"{made['recipe']}-{made['protocol']}-seed{made['seed']}-{digest}"
    folder.mkdir(parents=True)
    classes: dict[str, Any] = {}
    for split, (labels, predicted) in splits.items():
        made |= {f"{split}.rows": len(labels), f"{split}.accuracy": accuracy_score(labels, predicted)}
        made[f"{split}.macro_f1"] = f1_score(labels, predicted, average="macro", zero_division=0)
        number = int(labels.max()) + 1
        values = {"predicted": predicted.astype(np.int16)} if small else {"logits": np.eye(number)[predicted]}
        np.savez_compressed(folder / f"predictions_{split}.npz", labels=labels.astype(np.int16), **values)
        classes[split] = {"classes": {f"class {one} & <more>": {} for one in range(number)}, "confusion": []}
    (folder / "result.json").write_text(json.dumps(made), encoding="utf-8")
    losses = [(step, 3.0 / step) for step in (1, 10, 20)]
    if small:
        text = "\n".join(["step,loss,learning_rate", *(f"{step},{loss},0.1" for step, loss in losses)])
        (folder / "curve.csv").write_text(text + "\n", encoding="utf-8")
    else:
        events = [{"event": "step", "time": 0.0, "step": step, "steps": 20, "loss": loss} for step, loss in losses]
        (folder / "events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events), encoding="utf-8")
        (folder / "metrics.json").write_text(json.dumps(classes), encoding="utf-8")
    milliseconds = made.get("inference.batch1.p50_ms") or 8.0
    calls = np.random.default_rng(made["seed"]).gamma(20, milliseconds / 20e3, 200)
    np.savez_compressed(folder / "inference.npz", seconds_1=calls, tokens_1=np.full(200, 9, np.int32))
    return folder


def several(
    outputs: Path, skills: dict[str, float], seeds: Sequence[int] = range(5), rows: int = 400, classes: int = 5,
    small: bool = False, change: Callable[[str, int], dict[str, Any]] = lambda recipe, seed: {},
) -> None:  # fmt: skip
    """Write runs of recipes with these skills: the same test rows, some harder than others, and the same seeds."""
    draw = np.random.default_rng(0)
    hard, labels = draw.normal(0, 1, rows), draw.integers(0, classes, rows)
    for recipe, skill in skills.items():
        made = predictions(labels, skill, len(seeds), 0.05, draw, hard)
        for seed, predicted in zip(seeds, made, strict=True):
            changed = change(recipe, seed)
            write(outputs, row(recipe, seed, **changed), small, valid=(labels, predicted), test=(labels, predicted))


def known(made: dict[str, Any], **changed: Any) -> dict[str, Any]:
    """Return the row as a run of schema 2 has it: what it is, its code and when it ended.

    By keyword: `code`, `revision`, `ended`, `library_versions`, and what else its identity has, with `__` for a dot.
    """
    recipe = {"name": made["recipe"], "learning_rate": 1e-3}
    model = {"name": made["model"], "digest": made["weights_digest"], "pooling": "mean", "dropout": None}
    nested: dict[str, Any] = {
        "schema": 2, "recipe": recipe, "data": {"name": made["data"], "digest": made["data_digest"]},
        "model": model if made["model"] else None, "protocol": {"name": made["protocol"]}, "precision": None,
        "seed": made["seed"], "threads": None, "env": f"{made['environment']}-{'e' * 12}",
        "code": changed.pop("code", "c" * 12),
    }  # fmt: skip
    more = {
        "schema": 2, "code_digest": nested["code"], "revision": changed.pop("revision", "0" * 12),
        "ended": changed.pop("ended", "2026-01-01T00:00:00+00:00"), "weights_drawn": changed.pop("weights_drawn", None),
        "library_versions": changed.pop("library_versions", "torch==2.13.0+cpu transformers==5.23.0"),
    }  # fmt: skip
    for key, value in changed.items():
        *above, last = key.split("__")
        place = nested
        for name in above:
            place = place[name]
        place[last] = value
    identity = Identity(**nested)
    what = identity.digest(made["threads"], more["weights_drawn"], more["library_versions"])
    return made | more | {"identity_digest": what, **identity.keys()}
