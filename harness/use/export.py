"""Export a finished run's model, hold it against the library's own logits, add its figures to the result.

An encoder to ONNX, whatever library trained it; or what a module in the library's room writes, its own format or ONNX.
"""

import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.base import environments, progress
from harness.base.errors import UserError, writing
from harness.base.home import locked
from harness.figures.metrics import METRICS, of_row
from harness.figures.outputs import of_split
from harness.inputs import data
from harness.runs import store
from harness.runs.code import RECIPES
from harness.runs.launch import worker
from harness.runs.row import Row
from harness.use.predict import failure
from harness.use.saved import Saved, runnable

TOLERANCE = 1e-4  # of a logit in fp32


@dataclass(frozen=True)
class Format:
    """What a model can be exported to. `files`: what is written, by what the keys in result.json begin with.

    A SavedModel is a folder, called by its version: TensorFlow Serving takes the folder of a model's versions.
    """

    name: str
    title: str
    files: Mapping[str, str]
    by: str  # whose logits, in fp32, it is held against where a run computed in other numbers


FORMATS = {
    one.name: one
    for one in (
        Format("onnx", "ONNX", {"onnx": "model.onnx", "onnx_int8": "model_int8.onnx"}, "PyTorch's"),
        Format("mxnet_symbol", "MXNet's symbol", {"mxnet_symbol": "symbol"}, "the library's"),
        Format("saved_model", "SavedModel", {"saved_model": "1"}, "the library's"),
        Format("stablehlo", "StableHLO", {"stablehlo": "model.stablehlo"}, "the library's"),
    )
}


@dataclass(frozen=True)
class Exporter:
    """Writes one run's model in one format: in which module of recipes/, and which environment, that is done."""

    run: Saved
    form: Format
    module: str
    python: Path


def exporter(run: Saved, name: str, env: str | None) -> Exporter:
    """Return what exports the run to a format; UserError where its library does not write it."""
    form, shared = FORMATS[name], (RECIPES / f"{name}.py").is_file()
    if run.tokenizer and shared:  # whatever library it was
        return Exporter(run, form, f"recipes.{name}", environments.ensure(name).python)
    run = runnable(run, env)
    recipe = run.job["recipe"]
    known = [other for other in FORMATS if (RECIPES / recipe / f"{other}.py").is_file()]
    if run.tokenizer:
        known = [other for other in FORMATS if other in ("onnx", *known)]
    if not known:
        raise UserError(f"{run.folder.name}: this recipe has no encoder, and only one is exported.")
    if name not in known:
        raise UserError(f"recipe={recipe} does not write {form.title}; --format {' or '.join(known)}.", code=2)
    python = environments.ensure(name).python if shared else run.environment().python
    return Exporter(run, form, f"recipes.{recipe}.{name}", python)


def export(one: Exporter, out: Path | None, int8: bool) -> Path:
    """Write the folder `out` (by default in the run's, by the format's name) and the figures into the run's result."""
    run = one.run
    if int8 and one.module != "recipes.onnx":
        raise UserError(f"--int8: a model of recipe={run.job['recipe']} is exported in full precision alone.", code=2)
    chosen, out = out, out or run.folder / one.form.name
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
            figures = write(one, work, split, int8)
            folder = working / "folder"
            collect(run, [work / file for file in one.form.files.values()], folder)
            shutil.rmtree(out, ignore_errors=True)  # what an earlier export left
            folder.rename(out)
        finally:
            shutil.rmtree(working, ignore_errors=True)
        add(run.folder, one.form, figures)
    show(figures, one.form, run.row)
    return out


def refuse(out: Path | None) -> None:
    """Raise UserError where a chosen folder has files: nothing is written over."""
    if out and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out} is there already, and nothing is written over: --out says where else to write.")


def prepare(run: Saved, work: Path) -> str:
    """Write the job: the model, and the last split that the run was measured on. Return that split's name."""
    (work / "model").symlink_to(run.model)
    name = run.config["evaluate"][-1]
    settings = {"threads": run.row["threads"]}
    if run.tokenizer:
        settings["padding"] = json.loads((run.model / "config.json").read_text(encoding="utf-8"))["pad_token_id"]
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
    found = {"data": str(dataset.folder / name)}
    if run.tokenizer:
        found["tokens"] = str(data.tokenise(dataset, *run.tokenizer).folder / name)
    return found


def write(one: Exporter, work: Path, split: str, int8: bool) -> dict[str, float]:
    """Write the model (and that in int8) into `work`, check and measure it; return the figures."""
    run, (kind, *smaller) = one.run, one.form.files
    with np.load(run.folder / f"predictions_{split}.npz") as saved:
        recorded = dict(saved)
    perform("write", f"exporting to {one.form.title}", one, kind, work)
    figures, logits = measured(kind, one, work, split, recorded)
    rounded = run.row["precision"] != "fp32"  # its own logits are: those of the same weights in fp32 are not
    exact = np.load(work / "logits.npy") if rounded else recorded["logits"]
    difference = run.task.difference(recorded["labels"], logits, exact)
    against = f"{one.form.by} in fp32, of the same weights" if rounded else "the library's own"
    said = f"logits within {difference:.1e} of {against} ({TOLERANCE:g} is allowed)"
    if rounded:
        told = figures[f"{kind}.max_difference"]
        said += f"; within {told:.1e} of the library's own: it was trained in {run.row['precision']}"
    if not difference <= TOLERANCE:
        raise UserError(f"the exported model is not the run's: {said}.")
    progress.say(said)
    for other in smaller if int8 else []:
        perform("quantise", "turning the weights to int8", one, other, work)
        figures |= measured(other, one, work, split, recorded)[0]
    return figures


def perform(action: str, what: str, one: Exporter, kind: str, work: Path) -> None:
    """Do one action of recipes/worker/export.py for one of the format's files."""
    job = json.loads((work / "job.json").read_text(encoding="utf-8"))
    job["settings"] |= {"format": one.module, "file": one.form.files[kind]}
    store.write_json(work / "job.json", job)
    threads = one.run.row["threads"]
    with (
        progress.step(what),
        worker(work, one.python, action, threads, module="recipes.worker.export") as process,
    ):
        if process.wait():
            raise failure(process, work, f"{what} failed")


def measured(
    kind: str, one: Exporter, work: Path, split: str, recorded: Mapping[str, np.ndarray]
) -> tuple[dict[str, float], np.ndarray]:
    """Return the figures of one file under their keys, and its logits; `recorded`: the run's own predictions."""
    file = work / one.form.files[kind]
    perform("measure", f"measuring {one.form.name}/{file.name}", one, kind, work)
    saved = np.load(work / "measured.npz")
    metrics = METRICS[one.run.task.name]
    labels, outputs = of_split(one.run.task.name, saved, one.run.scale)
    scores = metrics.scores(labels, outputs, one.run.job["labels"])
    first, many = 1000 * saved["seconds_1"], saved["seconds_32"]
    figures = {
        "size_mb": round(sum(part.stat().st_size for part in parts(file)) / 1e6, 2),
        "max_difference": one.run.task.difference(recorded["labels"], saved["logits"], recorded["logits"]),
        "batch1.p50_ms": round(float(np.percentile(first, 50)), 3),
        "batch1.p95_ms": round(float(np.percentile(first, 95)), 3),
        "batch32.texts_per_second": round(32 * len(many) / float(many.sum()), 1),
        **{f"{split}.{name}": scores[name] for name in metrics.shown},
    }
    return {f"{kind}.{name}": value for name, value in figures.items()}, saved["logits"]


def parts(file: Path) -> list[Path]:
    """Return the files of what was written: of a folder, all in it."""
    return [part for part in file.rglob("*") if part.is_file()] if file.is_dir() else [file]


def collect(run: Saved, made: Iterable[Path], folder: Path) -> None:
    """Put together what a user needs: the models, the labels, and a tokenizer that cuts and pads as they want it.

    Of a model without one, how its pictures are drawn stands beside the labels.
    """
    from tokenizers import Tokenizer

    folder.mkdir()
    for path in made:
        if path.exists():
            path.rename(folder / path.name)
    for path in [run.model / "config.json", *run.model.glob("*token*.json"), *run.model.glob("font.*")]:
        shutil.copy(path, folder)
    if not run.tokenizer:
        return
    source, length = run.tokenizer
    padding = json.loads((folder / "config.json").read_text(encoding="utf-8"))["pad_token_id"]
    tokenizer = Tokenizer.from_file(str(source))
    tokenizer.enable_truncation(length)
    tokenizer.enable_padding(pad_id=padding, pad_token=tokenizer.id_to_token(padding))
    tokenizer.save(str(folder / "tokenizer.json"))


def add(folder: Path, form: Format, figures: Mapping[str, float]) -> None:
    """Add figures to the result of a run, in place of those of an earlier export to the format."""
    row = Row.read(folder / "result.json")
    kept = {key: value for key, value in row.items() if key.partition(".")[0] not in form.files}
    store.write_json(folder / "result.json", {**kept, **figures})


def show(figures: Mapping[str, float], form: Format, row: Row) -> None:
    """Say what each file is like, and what it costs in quality."""
    metrics = of_row(row)
    for kind, file in form.files.items():
        of = {key.partition(".")[2]: value for key, value in figures.items() if key.startswith(f"{kind}.")}
        if not of:
            continue
        split = next(key.partition(".")[0] for key in of if key.endswith(f".{metrics.primary}"))
        quality = [
            f"{metrics.figures[key].name} {row[f'{split}.{key}']:.3f} -> {of[f'{split}.{key}']:.3f}"
            for key in metrics.shown
            if f"{split}.{key}" in row  # older runs may lack one
        ]
        latency = f"batch 1: {of['batch1.p50_ms']:.1f} ms (p95 {of['batch1.p95_ms']:.1f})"
        throughput = f"batch 32: {of['batch32.texts_per_second']:.0f} texts/s"
        said = [f"{of['size_mb']:.0f} MB", latency, throughput, f"{split} {', '.join(quality)}"]
        progress.say(f"{form.name}/{file}: {'; '.join(said)}")
