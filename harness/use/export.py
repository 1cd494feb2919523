"""Export a finished run's model to ONNX, hold it against the library's own logits, add its figures to the result."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from harness.base import environments, progress
from harness.base.errors import UserError, writing
from harness.base.home import locked
from harness.figures.metrics import METRICS, of_row
from harness.inputs import data
from harness.runs import store
from harness.runs.launch import worker
from harness.runs.row import Row
from harness.use.predict import failure
from harness.use.saved import Saved

TOLERANCE = 1e-4  # of a logit in fp32
FILES = {"onnx": "model.onnx", "onnx_int8": "model_int8.onnx"}  # the keys in result.json begin with these


def export(run: Saved, out: Path | None, int8: bool) -> Path:
    """Write the folder `out` (without one: `onnx` in the run's) and the figures into the run's result."""
    if not run.tokenizer:
        raise UserError(f"{run.folder.name}: this recipe has no encoder, and only one is exported to ONNX.")
    chosen, out = out, out or run.folder / "onnx"
    refuse(chosen)
    working = out.with_name(f".{out.name}.exporting")
    with (
        store.claimed(run.folder),
        writing("--out", out, working),
        locked(working / "lock", str(out)),  # of another run, to the same place
    ):
        refuse(chosen)
        for remains in ("work", "folder"):
            shutil.rmtree(working / remains, ignore_errors=True)
        work = working / "work"
        work.mkdir()
        try:
            split = prepare(run, work)
            figures = write(run, work, split, int8)
            folder = working / "folder"
            collect(run, work, folder)
            shutil.rmtree(out, ignore_errors=True)  # what an earlier export left
            folder.rename(out)
        finally:
            shutil.rmtree(working, ignore_errors=True)
        add(run.folder, figures)
    show(figures, run.row)
    return out


def refuse(out: Path | None) -> None:
    """Raise UserError where a chosen folder has files: nothing is written over."""
    if out and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out} is there already, and nothing is written over: --out says where else to write.")


def prepare(run: Saved, work: Path) -> str:
    """Write the job: the model, and the last split that the run was measured on. Return that split's name."""
    (work / "model").symlink_to(run.model)
    name = run.config["evaluate"][-1]
    config = json.loads((run.model / "config.json").read_text(encoding="utf-8"))
    settings = {"threads": run.row["threads"], "padding": config["pad_token_id"]}
    job = {**run.job, "precision": "fp32", "settings": settings, "splits": {name: rows_of(run, name)}}
    store.write_json(work / "job.json", job)
    return name


def rows_of(run: Saved, name: str) -> dict[str, str]:
    """Return where data and tokens of a split lie; made again where they are no more."""
    known = run.job["splits"][name]
    if all(Path(folder).is_dir() for folder in known.values()):
        return known
    dataset = data.prepare(run.config["data"], run.task.name)
    if dataset.digest != run.row["data_digest"]:
        raise UserError(f"{run.folder}: its data has changed since, so there is nothing to check the export with.")
    tokens = data.tokenise(dataset, *run.tokenizer)  # type: ignore[misc]
    return {"data": str(dataset.folder / name), "tokens": str(tokens.folder / name)}


def write(run: Saved, work: Path, split: str, int8: bool) -> dict[str, float]:
    """Write model.onnx (and int8) into `work`, check and measure it; return the figures."""
    recorded = np.load(run.folder / f"predictions_{split}.npz")["logits"]
    perform("export", "exporting to ONNX", run, work)
    figures, logits = measured("onnx", run, work, split, recorded)
    rounded = run.row["precision"] != "fp32"  # its own logits are: PyTorch's, of the same weights, are not
    difference = float(np.abs(logits - (np.load(work / "torch.npy") if rounded else recorded)).max())
    against = "PyTorch's in fp32, of the same weights" if rounded else "the library's own"
    said = f"logits within {difference:.1e} of {against} ({TOLERANCE:g} is allowed)"
    if rounded:
        told = figures["onnx.max_difference"]
        said += f"; within {told:.1e} of the library's own: it was trained in {run.row['precision']}"
    if not difference <= TOLERANCE:
        raise UserError(f"the exported model is not the run's: {said}.")
    progress.say(said)
    if int8:
        perform("quantise", "turning the weights to int8", run, work)
        figures |= measured("onnx_int8", run, work, split, recorded)[0]
    return figures


def perform(action: str, what: str, run: Saved, work: Path) -> None:
    """Do one action of recipes/onnx.py, in its environment."""
    python = environments.ensure("onnx").python
    with progress.step(what), worker(work, python, action, run.row["threads"], module="recipes.onnx") as process:
        if process.wait():
            raise failure(process, work, f"{what} failed")


def measured(
    kind: str, run: Saved, work: Path, split: str, recorded: np.ndarray
) -> tuple[dict[str, float], np.ndarray]:
    """Return the figures of one file under their keys, and its logits; `recorded` are those that the run left."""
    job = json.loads((work / "job.json").read_text(encoding="utf-8"))
    job["settings"]["file"] = FILES[kind]
    store.write_json(work / "job.json", job)
    perform("measure", f"measuring {FILES[kind]}", run, work)
    saved = np.load(work / "measured.npz")
    metrics = METRICS[run.task.name]
    scores = metrics.scores(saved["labels"], saved["logits"])
    one, many = 1000 * saved["seconds_1"], saved["seconds_32"]
    figures = {
        "size_mb": round((work / FILES[kind]).stat().st_size / 1e6, 2),
        "max_difference": float(np.abs(saved["logits"] - recorded).max()),
        "batch1.p50_ms": round(float(np.percentile(one, 50)), 3),
        "batch1.p95_ms": round(float(np.percentile(one, 95)), 3),
        "batch32.texts_per_second": round(32 * len(many) / float(many.sum()), 1),
        **{f"{split}.{name}": scores[name] for name in metrics.shown},
    }
    return {f"{kind}.{name}": value for name, value in figures.items()}, saved["logits"]


def collect(run: Saved, work: Path, folder: Path) -> None:
    """Put together what a user needs: the models, the labels, and a tokenizer that cuts and pads as they want it."""
    from tokenizers import Tokenizer

    folder.mkdir()
    for path in work.glob("*.onnx"):
        path.rename(folder / path.name)
    for path in [run.model / "config.json", *run.model.glob("*token*.json")]:
        shutil.copy(path, folder)
    source, length = run.tokenizer  # type: ignore[misc]
    padding = json.loads((folder / "config.json").read_text(encoding="utf-8"))["pad_token_id"]
    tokenizer = Tokenizer.from_file(str(source))
    tokenizer.enable_truncation(length)
    tokenizer.enable_padding(pad_id=padding, pad_token=tokenizer.id_to_token(padding))
    tokenizer.save(str(folder / "tokenizer.json"))


def add(folder: Path, figures: Mapping[str, float]) -> None:
    """Add figures to the result of a run, in place of those of an earlier export."""
    row = Row.read(folder / "result.json")
    kept = {key: value for key, value in row.items() if key.partition(".")[0] not in FILES}
    store.write_json(folder / "result.json", {**kept, **figures})


def show(figures: Mapping[str, float], row: Row) -> None:
    """Say what each file is like, and what it costs in quality."""
    metrics = of_row(row)
    for kind in FILES:
        of = {key.partition(".")[2]: value for key, value in figures.items() if key.startswith(f"{kind}.")}
        if not of:
            continue
        split = next(key.partition(".")[0] for key in of if key.endswith(f".{metrics.primary}"))
        quality = [
            f"{metrics.figures[key].name} {row[f'{split}.{key}']:.3f} -> {of[f'{split}.{key}']:.3f}"
            for key in metrics.shown
        ]
        latency = f"batch 1: {of['batch1.p50_ms']:.1f} ms (p95 {of['batch1.p95_ms']:.1f})"
        throughput = f"batch 32: {of['batch32.texts_per_second']:.0f} texts/s"
        said = [f"{of['size_mb']:.0f} MB", latency, throughput, f"{split} {', '.join(quality)}"]
        progress.say(f"{FILES[kind]}: {'; '.join(said)}")
