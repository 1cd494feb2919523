"""All recipes on one machine within minutes: a small and a base encoder, in fp32 and bf16, beside bare PyTorch loops.

A cell is one short training with its predictions. A recipe has one process, which imports its library once and forks
for each of its cells (recipes/worker/bench.py), while the next recipe's process imports its own. Each cell is kept as
soon as it is there: cut off, or out of its minutes, the same command goes on with those that are missing.
"""

import contextlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from harness import config
from harness.base import environments, output, progress
from harness.base.errors import UserError
from harness.base.home import ROOT
from harness.config.settings import Settings
from harness.figures.measured import inference
from harness.figures.row import own_memory, training, versions
from harness.machine import host
from harness.machine.gpu import ORDER
from harness.results.cells import BARE, FILE, WAYS, Cell, named
from harness.runs.attempt import write_job
from harness.runs.events import new
from harness.runs.launch import of_threads, worker
from harness.runs.outcome import Outcome
from harness.runs.prepare import Prepared, prepare
from harness.runs.store import write_json

BASE = {"num_hidden_layers": 12, "hidden_size": 768, "num_attention_heads": 12, "intermediate_size": 3072}
JOBS = {  # what is trained, and the words for it; the base encoder is that of BERT base, drawn by the seed
    "titles, MiniLM": ["data=job_titles", "data.train_size=2000"],
    "descriptions, BERT base": ["data=onet", "model=small", *(f"model.shape.{key}={n}" for key, n in BASE.items())],
}
PRECISIONS = ("fp32", "bf16")
SHARED = [
    "train.epochs=2", "data.valid_size=100", "data.test_size=200", "measure.batch_sizes=[1,32]", "measure.calls=30",
    "measure.seconds=1", "measure.at_most=5", "checkpoint.every=null",
]  # fmt: skip
KEPT = (  # of a run's figures
    "train.rows", "train.epochs", "train.batch_size", "train.seconds", "train.first_step_seconds",
    "train.step_seconds_median", "train.compile_seconds", "train.shapes", "train.samples_per_second",
    "compute.useful_gflop", "compute.peak_gflops", "memory.gpu_allocated_peak_mb", "memory.kernel_peak_rss_mb",
    "inference.batch1.p50_ms", "inference.batch32.p50_ms",
)  # fmt: skip
PATIENCE = 600.0  # seconds for a cell, or to import a library


@dataclass
class Bench:
    """What is measured, and where it is kept: harness/results/cells.py reads it."""

    folder: Path
    words: Sequence[str]  # for all cells
    ends: float  # when no further cell is begun, as time.monotonic() has it
    cells: dict[str, Cell] = field(default_factory=dict)

    def __post_init__(self) -> None:
        path = self.folder / FILE
        if path.exists():
            kept = json.loads(path.read_text(encoding="utf-8"))
            if kept["machine"] != host.describe():
                raise UserError(f"{path} is of another machine ({kept['machine']}): give --folder another.", code=2)
            if kept["words"] != [*self.words]:
                other = " ".join(kept["words"])
                raise UserError(f"{path} has what was measured with {other}: give these, or another --folder.", code=2)
            self.cells = kept["cells"]

    def keep(self, name: str, figures: Mapping[str, Any]) -> None:
        """Keep a cell on disk."""
        self.cells[name] = {**figures, "date": date.today().isoformat()}
        self.folder.mkdir(parents=True, exist_ok=True)
        write_json(self.folder / FILE, {"machine": host.describe(), "words": [*self.words], "cells": self.cells})

    @property
    def over(self) -> bool:
        return time.monotonic() >= self.ends

    def missing(self, recipe: Sequence[str]) -> dict[str, list[str]]:
        """Return the words of each cell of a recipe that is not there yet, by the cell's name."""
        every = {
            named(recipe, job, precision): last([*recipe, *JOBS[job], f"precision={precision}", *SHARED, *self.words])
            for precision in PRECISIONS  # one after the other: some libraries keep a precision for all that follows
            for job in JOBS
        }
        return {name: words for name, words in every.items() if "failed" in self.cells.get(name, {"failed": None})}


def last(words: Sequence[str]) -> list[str]:
    """Return the last word for each key."""
    return [*{word.partition("=")[0]: word for word in words}.values()]


@dataclass
class Served:
    """A recipe's process, and the cells it is to do."""

    cells: dict[str, Prepared]
    python: Path
    process: "subprocess.Popen[bytes] | None" = None
    first: Path = Path()


def run(bench: Bench, recipes: Sequence[Sequence[str]], place: Path) -> None:
    """Measure every cell of the recipes that is missing, in folders below `place`, until the minutes are over."""
    bare(bench, place)
    with contextlib.ExitStack() as stack:
        waiting = [one for one in (planned(bench, words) for words in recipes) if one.cells]
        for number, one in enumerate(waiting):
            for served in waiting[number : number + 2]:  # the next one imports its library meanwhile
                if not served.process and not bench.over:
                    start(served, place, stack)
            for name, prepared in one.cells.items():
                if bench.over:
                    return
                with progress.step(name) as show:
                    figures = cell(prepared, one, place / slug(name))
                    show(f"{figures.get('train.samples_per_second', 0):,.0f} samples/s")
                bench.keep(name, figures)
            if one.process and one.process.stdin:
                one.process.stdin.close()


def planned(bench: Bench, recipe: Sequence[str]) -> Served:
    """Return the cells of a recipe that can be done here; why others cannot is kept as what they are."""
    found = Served({}, Path())
    for name, words in bench.missing(recipe).items():
        try:
            found.cells[name] = prepare(settings_of(words))
        except UserError as error:
            bench.keep(name, {"refused": error.message.splitlines()[0]})
    for prepared in [*found.cells.values()][:1]:
        settings = prepared.settings
        try:
            found.python = environments.of(prepared.resolved.managed, settings.env).python
        except UserError as error:  # it may be there the next time
            progress.say(f"{' '.join(recipe)} is left out: {error}")
            found.cells.clear()
    return found


def settings_of(words: Sequence[str]) -> Settings:
    """Return the settings that words of the command line give."""
    from hydra import compose, initialize_config_dir

    with initialize_config_dir(str(config.CONF), version_base="1.3"):
        return config.checked(compose("config", list(words)))


def start(served: Served, place: Path, stack: contextlib.ExitStack) -> None:
    """Start a recipe's process; it is to import the library of its first job."""
    name, prepared = next(iter(served.cells.items()))
    served.first = place / f"{slug(name)}.first"
    written(prepared, served.first)
    served.process = stack.enter_context(process_of(prepared, served, served.first, "serve"))


def process_of(prepared: Prepared, served: Served, folder: Path, action: str) -> Any:
    threads = prepared.resolved.threads
    return worker(folder, served.python, action, threads, prepared.placed, "recipes.worker.bench")


def written(prepared: Prepared, folder: Path) -> None:
    """Make the folder of a job."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    write_job(prepared, folder)


def cell(prepared: Prepared, served: Served, folder: Path) -> Cell:
    """Measure one cell; what fails in a forked process is tried once more in one of its own."""
    assert served.process and served.process.stdin
    written(prepared, folder)
    with contextlib.suppress(BrokenPipeError):
        served.process.stdin.write(f"{folder / 'job.json'}\n".encode())
        served.process.stdin.flush()
    outcome = followed(folder, served.process)
    if outcome.status != "finished":
        again = folder.with_name(f"{folder.name}.alone")
        written(prepared, again)
        with process_of(prepared, served, again, "alone") as process:
            outcome, folder = followed(again, process), again
    if outcome.status != "finished":
        return {"failed": outcome.reason}
    figures = {**training(prepared, outcome), **own_memory(outcome), **inference(folder, outcome)}
    compiled, batches = prepared.identity.compile or "none", prepared.identity.batches or "padded"
    shutil.rmtree(folder / "model", ignore_errors=True)
    packages = environments.of(prepared.resolved.managed, prepared.settings.env)
    return {
        **{key: figures.get(key) for key in KEPT},
        "compile": compiled,
        "batches": batches,
        "versions": versions(packages, prepared.settings.recipe.libraries),
    }


def followed(folder: Path, process: "subprocess.Popen[bytes]") -> Outcome:
    """Return how a job ended: its own process says so, or that which it was forked in."""
    outcome, begun = Outcome(started=time.time()), time.monotonic()
    with open(folder / "events.jsonl", "a+", encoding="utf-8") as events:
        while 0 not in outcome.ended:
            dead = process.poll() is not None
            for event in new(events):
                outcome.take(event)
            if 0 in outcome.ended:
                break
            if dead or time.monotonic() - begun > PATIENCE:
                outcome.ended[0] = process.returncode if dead else 1
            time.sleep(0.05)
    if outcome.ended[0] or "peak" not in outcome.phases:
        said = outcome.error["message"] if outcome.error else f"its process ended with {outcome.ended[0]}"
        outcome.end("failed", said.strip().splitlines()[-1] if said.strip() else said)
    return outcome


def slug(name: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in name)


def bare(bench: Bench, place: Path) -> None:
    """Measure the bare PyTorch loops on the jobs of recipe=torch."""
    python = environments.of("hf_trainer", "managed").python
    for way in WAYS:
        for name, words in bench.missing([f"{BARE} {way}"]).items():
            if bench.over:
                return
            prepared = prepare(settings_of(last(["recipe=torch", *words[1:], "compile=none", "batches=padded"])))
            folder = place / slug(name)
            written(prepared, folder)
            with progress.step(name):
                bench.keep(name, looped(python, prepared, folder, way))


def looped(python: Path, prepared: Prepared, folder: Path, way: str) -> Cell:
    """Return the figures of a bare loop on a job: benchmarks/plain_torch.py prints them."""
    if way == "graph" and not prepared.placed.gpu:
        return {"refused": "CUDA graphs are of GPUs"}
    command = [python, ROOT / "benchmarks" / "plain_torch.py", folder / "job.json", folder / "logits.npz", way]
    variables = {**os.environ, **prepared.placed.variables(), **of_threads(prepared.resolved.threads), **ORDER}
    done = output.answer([*map(str, command)], {**variables, "HF_HUB_OFFLINE": "1"})
    if done.returncode:
        return {"failed": done.stderr.strip().splitlines()[-1]}
    plain = training(prepared, Outcome())  # what is known of the job alone
    return {key: plain.get(key) for key in KEPT} | json.loads(done.stdout.splitlines()[-2])
