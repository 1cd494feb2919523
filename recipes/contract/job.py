"""The job that a recipe is given, and what it reports of it.

A recipe is a room, a package of `recipes/`, whose module `recipe` has these functions:

    def finetune(job: Job) -> Predict: ...       # train, save into job.model; return the function that predicts
    def load(job: Job) -> Predict: ...           # the same function, from the saved model in job.model alone

Its module `controlled` has them for `protocol=controlled`, as overrides of those, and one more, for an encoder:

    def hidden_states(job: Job) -> Hidden: ...   # of the encoder before training: what parity is shown with

A recipe marks its phases (`with job.phase("train"): ...`) and reports its steps (`job.step(...)`); it never times or
scores itself, and need not wait for its device. Standard library and numpy only: this runs in every library's
environment.
"""

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from recipes.contract import frameworks
from recipes.contract.checkpoints import Checkpoints
from recipes.contract.split import Batch, Predict, Split, order_of_like_length, predict_split
from recipes.contract.tasks import CLASSIFICATION, TASKS, Task

Hidden = Callable[[Batch, bool], np.ndarray]  # a batch, in train mode? -> last hidden state (rows, tokens, hidden)


@dataclass(frozen=True)
class Train:
    """What all recipes with epochs share."""

    epochs: int
    batch_size: int  # rows, of each process
    accumulate: int = 1  # batches to an optimiser step, in each process


@dataclass(frozen=True)
class Placement:
    """Where the run is placed: how many processes share the training, or devices where one process drives them all."""

    processes: int = 1
    use_cpu: bool = True
    machines: int = 1
    machine_rank: int = 0
    main_process_ip: str | None = None  # where several machines meet
    main_process_port: int | None = None


@dataclass(frozen=True)
class Every:
    """How often a checkpoint is made: every so many steps, or seconds; neither: never."""

    steps: int | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Dropout:
    """The rates: of hidden states, also before the head, and of attention."""

    hidden: float = 0.0
    attention: float = 0.0


@dataclass(frozen=True)
class Measure:
    """How the saved model's predictions are timed: texts to a call, and how many calls and seconds of each size.

    `target`: the score on valid at which the time to train is taken; valid is predicted after each epoch then.
    """

    batch_sizes: tuple[int, ...] = ()
    calls: int = 100
    seconds: float = 5.0
    at_most: float = 30.0
    target: float | None = None


@dataclass(frozen=True)
class Rows:
    """Where a split lies: the folder of its rows, and that of its token ids where the recipe has a tokenizer."""

    data: Path
    tokens: Path | None = None


@dataclass(frozen=True)
class Job:
    """One run, as `job.json` describes it. `folder` is where that file lies; the model goes to `model`.

    How rows, batches and optimiser steps go together, by an example: ten rows, `train.batch_size=2`,
    `train.accumulate=2`, two processes. An optimiser step is of 2 x 2 x 2 rows: `rows_per_step` is 8. Its rows lie in
    2 x 2 batches: `batches_per_step` is 4, of which each process takes two, in turn. `order(epoch)` says in which order
    the ten rows come; `steps(order)` cuts it into rows 1 to 8 and 9 to 10; `batches(order)` cuts each of these steps
    into its 4 batches: four of two rows; then, since the last step has two rows only and each of its batches needs
    one, four of one row, two of them repeated. `rows_in_step(1, 10)` is 2: what the last step's mean loss is over.
    """

    folder: Path
    recipe: str
    seed: int
    precision: str  # fp32; bf16: mixed precision; tf32: fp32 with products in TF32, which is settled already
    labels: tuple[str, ...]  # the names: classes, or what may hold, tags, the name of the number
    protocol: str  # native, or controlled: see `controlled`
    settings: Mapping[str, Any]  # conf/recipe/NAME.yaml, as resolved; controlled: with the protocol's keys over it
    train: Train
    placement: Placement
    checkpoint: Every
    weights: Path | None  # a Hugging Face folder: config.json, model.safetensors, tokenizer.json
    pooling: str | None  # mean (over unpadded positions) or cls; None: none, each token has an answer
    dropout: Dropout | None
    splits: Mapping[str, Rows]
    measure: Measure = Measure()
    compile: str = (
        "none"  # how much of the training: none; model, its two passes; step, with the update; steps, several
    )
    packed: bool = False  # the texts of a batch lie one after another, and none is padded
    task: Task = CLASSIFICATION  # what a text is answered with: its labels, what `Predict` returns, the reference loss
    scale: tuple[float, float] = (0.0, 1.0)  # mean and standard deviation that numbers were scaled by, for who loads it

    @classmethod
    def read(cls, path: Path) -> "Job":
        """Return the job that a file describes."""
        values = json.loads(path.read_text(encoding="utf-8"))
        values["weights"] = Path(values["weights"]) if values["weights"] else None
        values["labels"] = tuple(values["labels"])
        values["task"] = TASKS[values.get("task", CLASSIFICATION.name)]  # runs from before there were others say none
        for key, kind in (("train", Train), ("placement", Placement), ("checkpoint", Every), ("measure", Measure)):
            values[key] = kind(**values[key])
        values["dropout"] = Dropout(**values["dropout"]) if values["dropout"] else None
        for name, where in values["splits"].items():
            values["splits"][name] = Rows(**{key: Path(folder) for key, folder in where.items()})
        return cls(folder=path.resolve().parent, **values)

    def write(self) -> None:
        """Write `job.json` into the job's folder, for `read`."""
        values = {key: plain(getattr(self, key)) for key in (one.name for one in fields(self))}
        del values["folder"]
        values["task"] = self.task.name
        text = json.dumps(values, indent=2, ensure_ascii=False) + "\n"
        (self.folder / "job.json").write_text(text, encoding="utf-8")

    @property
    def processes(self) -> int:
        """How many processes share the training, or devices where one process drives them all."""
        return self.placement.processes

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
    def outputs(self) -> int:
        """How many numbers the head gives for a text, or a token: one for each label; one, where it is a number."""
        return self.task.outputs(self.labels)

    @property
    def controlled(self) -> bool:
        """Tell whether the harness gives the head and the batches, and each step is to be reported."""
        return self.protocol == "controlled"

    @cached_property
    def checkpoints(self) -> Checkpoints:
        """Where the run goes on after it was cut off."""
        several: dict[str, Any] = {}
        if int(os.environ.get("WORLD_SIZE", 1)) > 1:
            from recipes.contract.together import Together  # accelerate has started this process: there is PyTorch

            several = {"ranks": int(os.environ["LOCAL_WORLD_SIZE"]), "gather": Together(self)}
        every = asdict(self.checkpoint)
        return Checkpoints(self.folder / "checkpoints", self.event, **every, rank=self.local_rank, **several)

    @property
    def rows_per_step(self) -> int:
        """Rows of an optimiser step: of `train.accumulate` batches in each process."""
        return self.train.batch_size * self.train.accumulate * self.processes

    @property
    def batches_per_step(self) -> int:
        """Batches of an optimiser step: `train.accumulate` for each process there is.

        One process that drives several devices has larger ones, for all of them.
        """
        return self.train.accumulate * int(os.environ.get("WORLD_SIZE", 1))

    def order(self, epoch: int) -> np.ndarray:
        """Return the rows of train in their order in an epoch, counted from 0; int64.

        Those of a step are of like length, for little padding; packed, of any, since none is padded and all steps then
        have about as many tokens. It is another order each epoch. Controlled: the one that all libraries get.
        """
        if self.controlled:
            return np.load(self.folder / "order.npy")[epoch]
        generator, lengths = np.random.default_rng([self.seed, epoch]), self.split("train").lengths
        if self.packed:
            return generator.permutation(len(lengths))
        return order_of_like_length(lengths, self.rows_per_step, generator)

    def steps(self, order: np.ndarray) -> list[np.ndarray]:
        """Cut an order of rows into those of each optimiser step."""
        return [order[start : start + self.rows_per_step] for start in range(0, len(order), self.rows_per_step)]

    def batches(self, order: np.ndarray) -> list[np.ndarray]:
        """Cut an order of rows into batches: `batches_per_step` of like size for each optimiser step.

        Where the last step has fewer rows than that, they are repeated, so that it has its batches too. Of several
        processes each takes one batch in turn.
        """
        parts = self.batches_per_step
        steps = [np.resize(rows, max(len(rows), parts)) for rows in self.steps(order)]
        return [part for rows in steps for part in np.array_split(rows, parts)]

    def rows_in_step(self, step: int, rows: int) -> int:
        """Return the rows of an optimiser step, counted from 0 in an epoch of `rows`: the last may have fewer."""
        return min(self.rows_per_step, rows - step * self.rows_per_step)

    @property
    def evaluated(self) -> list[str]:
        """The splits that the run is measured on: valid and test, or valid alone, as in a search."""
        return [name for name in self.splits if name != "train"]

    def head(self) -> tuple[np.ndarray, np.ndarray]:
        """Controlled: return the head's first weight (outputs, hidden) and bias (outputs), float32."""
        with np.load(self.folder / "head.npz") as head:
            return head["weight"], head["bias"]

    def split(self, name: str) -> Split:
        """Return the split `train`, `valid` or, where it is evaluated, `test`."""
        return Split(name, self.splits[name].data, self.splits[name].tokens, self.task, self.outputs)

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

    @cached_property
    def _told(self) -> list[float]:
        """When `predicted` last reported."""
        return [0.0]

    def predicted(self, rows: int, of: int) -> None:
        """Report how many of the rows of a split are predicted, once a second."""
        if (now := time.monotonic()) - self._told[0] >= 1:
            self._told[0] = now
            self.event("rows", done=rows, of=of)

    def epoch_ended(self, predict: Callable[[], Predict]) -> None:
        """Keep what is predicted of valid after an epoch, for the harness to see whether `measure.target` is reached.

        `predict` makes the function that predicts; it is asked where there is a target. Back to training is the
        recipe's business.
        """
        if self.measure.target is None:
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
        made = len(frameworks.main().compilations() or ())
        yield
        frameworks.wait()
        seconds, cpu_seconds = time.perf_counter() - wall, _cpu_seconds() - cpu
        self.event("phase_end", name=name, seconds=seconds, cpu_seconds=cpu_seconds)
        if name == "train" and (compiled := frameworks.compiled(made)):
            self.event("compiled", **compiled)


def plain(value: Any) -> Any:
    """Return a value as JSON has it: dataclasses and mappings as objects, paths as text."""
    if is_dataclass(value) and not isinstance(value, type):
        return {key: plain(one) for key, one in vars(value).items() if one is not None}
    if isinstance(value, Mapping):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    return str(value) if isinstance(value, Path) else value


def log_name(rank: int) -> str:
    """Return the name of the file with what a process printed."""
    return f"log.rank{rank}.txt" if rank else "log.txt"


def _cpu_seconds() -> float:
    """CPU seconds (user and system) of this process and of its ended children."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
