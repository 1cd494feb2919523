"""The contract between harness and recipe: the job a recipe gets, and what it reports.

A recipe is a module of this package with these functions:

    def finetune(job: Job) -> Predict: ...       # train, save into job.model; return the function that predicts
    def load(job: Job) -> Predict: ...           # the same function, from the saved model in job.model alone
    def hidden_states(job: Job) -> Hidden: ...   # of an encoder, before training: what parity is shown with

It marks its phases (`with job.phase("train"): ...`) and reports its steps (`job.step(...)`); it never times
or scores itself, and need not wait for its device. Standard library and numpy only: this runs in every library's
environment.
"""

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from recipes import frameworks
from recipes.checkpoints import Checkpoints
from recipes.split import Batch, Predict, Split, predict_split

Hidden = Callable[[Batch, bool], np.ndarray]  # a batch, in train mode? -> last hidden state (rows, tokens, hidden)


@dataclass
class Job:
    """One run, as `job.json` describes it. `folder` is where that file lies; the model goes to `model`."""

    folder: Path
    recipe: str
    seed: int
    precision: str  # fp32; bf16: mixed precision; tf32: fp32 with products in TF32, which is settled already
    labels: list[str]
    protocol: str  # native, or controlled: see `controlled`
    settings: dict[str, Any]  # conf/recipe/NAME.yaml, as resolved; controlled: with the protocol's keys over it
    train: dict[str, Any]  # what all recipes share: epochs, batch_size (of each process), accumulate
    placement: dict[str, Any]  # the values of an accelerate config file: num_processes, use_cpu, mixed_precision, …
    checkpoint: dict[str, Any]  # how often: {"steps": …}, {"seconds": …}, or nothing for never
    weights: Path | None  # a Hugging Face folder: config.json, model.safetensors, tokenizer.json
    pooling: str | None  # mean (over unpadded positions) or cls
    dropout: dict[str, float] | None  # hidden (also before the head) and attention
    splits: dict[str, dict[str, str]]
    measure: dict[str, Any] = field(default_factory=dict)  # the keys measure. of the configuration
    told = 0.0  # when `predicted` last reported; of no type, so no part of `job.json`

    @classmethod
    def read(cls, path: Path) -> "Job":
        values = json.loads(path.read_text(encoding="utf-8"))
        values["weights"] = Path(values["weights"]) if values["weights"] else None
        return cls(folder=path.resolve().parent, **values)

    @property
    def processes(self) -> int:
        """How many processes share the training, or devices where one process drives them all."""
        return self.placement["num_processes"]

    @property
    def rank(self) -> int:
        """Which of the processes this is. The first one, 0, alone saves and predicts."""
        return int(os.environ.get("RANK", 0))

    @property
    def local_rank(self) -> int:
        """Which of the processes on this machine this is. The first one, 0, alone reports."""
        return int(os.environ.get("LOCAL_RANK", 0))

    @property
    def model(self) -> Path:
        """The folder the fine-tuned model is saved in."""
        return self.folder / "model"

    @property
    def controlled(self) -> bool:
        """Tell whether the harness gives the head and the batches, and each step is to be reported."""
        return self.protocol == "controlled"

    @cached_property
    def checkpoints(self) -> Checkpoints:
        """Where the run goes on after it was cut off."""
        several: dict[str, Any] = {}
        if int(os.environ.get("WORLD_SIZE", 1)) > 1:
            from recipes.together import Together  # accelerate has started this process: there is PyTorch

            several = {"ranks": int(os.environ["LOCAL_WORLD_SIZE"]), "gather": Together(self)}
        return Checkpoints(self.folder / "checkpoints", self.event, **self.checkpoint, rank=self.local_rank, **several)

    @property
    def step_size(self) -> int:
        """Rows of an optimiser step: of `train.accumulate` batches in each process."""
        return self.train["batch_size"] * self.train["accumulate"] * self.processes

    @property
    def batches_of_step(self) -> int:
        """Batches of an optimiser step: `train.accumulate` for each process there is.

        One process that drives several devices has larger ones, for all of them.
        """
        return self.train["accumulate"] * int(os.environ.get("WORLD_SIZE", 1))

    @property
    def evaluated(self) -> list[str]:
        """The splits that the run is measured on: valid and test, or valid alone, as in a search."""
        return [name for name in self.splits if name != "train"]

    def head(self) -> tuple[np.ndarray, np.ndarray]:
        """Controlled: return the head's first weight (labels, hidden) and bias (labels), float32."""
        with np.load(self.folder / "head.npz") as head:
            return head["weight"], head["bias"]

    def order(self, epoch: int) -> np.ndarray:
        """Controlled: return the rows of train in their order in an epoch, counted from 0; int64."""
        return np.load(self.folder / "order.npy")[epoch]

    def batches(self, epoch: int) -> list[np.ndarray]:
        """Controlled: return the rows of train that make each batch of an epoch, counted from 0, in their order.

        `batches_of_step` one after the other make an optimiser step. Of several processes each takes one in turn.
        """
        return self.cut(self.order(epoch))

    def cut(self, order: np.ndarray) -> list[np.ndarray]:
        """Cut an order of rows into batches: for each optimiser step `batches_of_step` of like size.

        Where the last step has fewer rows than that, they are repeated, so that it has its batches too.
        """
        parts = self.batches_of_step
        steps = [np.resize(rows, max(len(rows), parts)) for rows in self.steps(order)]
        return [part for rows in steps for part in np.array_split(rows, parts)]

    def steps(self, order: np.ndarray) -> list[np.ndarray]:
        """Cut an order of rows into those of each optimiser step."""
        return [order[start : start + self.step_size] for start in range(0, len(order), self.step_size)]

    def rows_of_step(self, step: int, rows: int) -> int:
        """Return the rows of an optimiser step, counted from 0 in an epoch of `rows`: the last may have fewer."""
        return min(self.step_size, rows - step * self.step_size)

    def split(self, name: str) -> Split:
        """Return the split `train`, `valid` or, where it is evaluated, `test`."""
        where = self.splits[name]
        return Split(name, Path(where["data"]), Path(where["tokens"]) if "tokens" in where else None)

    def event(self, kind: str, **values: Any) -> None:
        """Append one line to `events.jsonl`: its kind, the time (seconds since the epoch) and `values`.

        Of several processes the first one on its machine does; an error, or what it waits for, any of them tells.
        """
        if self.local_rank and kind not in ("error", "waiting"):
            return
        line = json.dumps({"event": kind, "time": time.time(), **values}) + "\n"
        with open(self.folder / "events.jsonl", "a", encoding="utf-8") as events:
            events.write(line)

    def reports(self, step: int, steps: int) -> bool:
        """Tell whether optimiser step `step` of `steps`, counted from 1, is to be reported.

        The first, the last, and every tenth; in a training of fewer than 200, more of them: 20 at least, if there are
        so many. Controlled: each. No more, since who reads a loss waits for the device.
        """
        every = 1 if self.controlled else max(1, min(10, steps // 20))
        return step % every == 0 or step in (1, steps)

    def step(self, step: int, steps: int, **values: float | None) -> None:
        """Report optimiser step `step` of `steps`, with what is known of loss, learning_rate, grad_norm."""
        self.event("step", step=step, steps=steps, **values)

    def predicted(self, rows: int, of: int) -> None:
        """Report how many of the rows of a split are predicted, once a second."""
        if (now := time.monotonic()) - self.told >= 1:
            self.told = now
            self.event("rows", done=rows, of=of)

    def epoch_ended(self, predict: Callable[[], Predict]) -> None:
        """Keep what is predicted of valid after an epoch, for the harness to see whether `measure.target` is reached.

        `predict` makes the function that predicts; it is asked where there is a target. Back to training is the
        recipe's business.
        """
        if self.measure.get("target") is None:
            return
        frameworks.wait()  # or what is left of the epoch would be among the seconds of predicting
        start = time.perf_counter()
        path = self.folder / "epochs" / f"{time.time_ns()}.npy"
        path.parent.mkdir(exist_ok=True)
        np.save(path, predict_split(predict(), self.split("valid")))
        seconds = time.perf_counter() - start
        self.checkpoints.began += seconds  # what a checkpoint says of the time of training is without it
        self.event("epoch", file=path.name, seconds=seconds)

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Mark a phase: load_weights, build_data, train, save. Its wall and CPU seconds are reported.

        It ends when the device has done what the phase gave it, not when that was launched.
        Of several processes the first one alone goes on from `save`: the others have ended well when they come to it.
        """
        if name == "save" and self.rank:
            sys.exit()
        wall, cpu = time.perf_counter(), _cpu_seconds()
        self.event("phase_start", name=name)
        yield
        frameworks.wait()
        seconds, cpu_seconds = time.perf_counter() - wall, _cpu_seconds() - cpu
        self.event("phase_end", name=name, seconds=seconds, cpu_seconds=cpu_seconds)


def log_name(rank: int) -> str:
    """Return the name of the file with what a process printed."""
    return f"log.rank{rank}.txt" if rank else "log.txt"


def _cpu_seconds() -> float:
    """CPU seconds (user and system) of this process and of its ended children."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
