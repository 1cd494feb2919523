"""Do the libraries compute the same? Short controlled runs, each held against the plain reference.

The reference (recipes/reference/) does the same job without padding, batches or trainer. What is compared, and how
near it must be, stands in docs/parity.md. A run's own interpreter is that of its `env=`; the reference, and what reads
the folder a run left, are always of one and the same environment: a measure must not change with what is measured.
"""

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from harness.base import environments, output
from harness.base.errors import UserError
from harness.base.home import ROOT, build_beside, sha256
from harness.runs.events import Event
from harness.runs.events import read as read_events
from harness.runs.launch import worker
from harness.use.saved import contents

STEPS, ROWS = 50, 8  # of the runs, and rows in each of their batches
WORDS = [
    "protocol=controlled", f"data.train_size={STEPS * ROWS}", "data.valid_size=100", "data.test_size=100",
    "train.epochs=1", f"train.batch_size={ROWS}", "threads=1", "measure.batch_sizes=[]",
]  # fmt: skip
NORM_STEPS = (1, 10, 50)
REFERENCE_ENVIRONMENT = "hf_trainer"  # the managed one, whatever env= says: env= may have no transformers


@dataclass(frozen=True)
class Line:
    """One thing compared: the largest difference found, the largest allowed (None: it is only told), and its parts."""

    what: str
    found: float
    allowed: float | None
    remark: str = ""
    parts: dict[str, float] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        return self.allowed is None or self.found <= self.allowed


class Comparison:
    """Short runs of any recipe, from the same weights and data, against one run of the reference."""

    def __init__(self, place: Path, words: Sequence[str] = (), references: Path | None = None):
        self.place, self.words, self.references = place, [*WORDS, *words], references or place

    def lines(self, recipe: Sequence[str], repeated: bool = True) -> list[Line]:
        """Run `recipe` (words of the command line: recipe=flair) and compare; `repeated`: with dropout, twice."""
        name = "-".join(word.partition("=")[2] for word in recipe)
        run = self.run([*recipe, "model.dropout=0"], name)
        reference = self.reference(run)
        work(run, python_of(run), "hidden")
        return [
            *hidden_lines(run, reference),
            *training_lines(run, reference),
            weights_line(run, reference),
            self.folder_line(run),
            Line("reloaded in a new process: logits", contents(run / "result.json")["reload.max_difference"], 0.0),
            *([self.repetition_line(recipe, name)] if repeated else []),
        ]

    def run(self, words: Sequence[str], name: str) -> Path:
        """Run train.py; return the folder of its result."""
        outputs = self.place / name
        shutil.rmtree(outputs, ignore_errors=True)
        command = [os.environ.get("FINETUNE_RECIPES_PYTHON", sys.executable), str(ROOT / "train.py")]
        command += [*self.words, *words, f"outputs={outputs}"]
        done = output.answer(command)
        if done.returncode:
            raise UserError(f"`{' '.join(words)}` failed:\n{(done.stdout + done.stderr)[-3000:]}")
        (result,) = outputs.glob("*/[!.]*/result.json")
        return result.parent

    def reference(self, run: Path) -> Path:
        """Return the folder where the reference did the same job (weights, head, batches); it is done once."""
        job = contents(run / "job.json")
        files = [run / "head.npz", run / "order.npy", Path(job["weights"]) / "model.safetensors"]
        key = hashlib.sha256(str([*map(sha256, files), job["pooling"], job["splits"]]).encode()).hexdigest()
        folder = self.references / f"reference-{key[:12]}"
        with build_beside(folder, "the reference of parity") as building:
            if building:
                job_for_reference(run, building)
                for action in ("finetune", "hidden"):
                    work(building, environments.ensure(REFERENCE_ENVIRONMENT).python, action)
        return folder

    def folder_line(self, run: Path) -> Line:
        """Compare the logits of the library with those of the Hugging Face folder it left, read by AutoModel."""
        folder = self.place / f"again-{run.name}"
        folder.mkdir()
        job_for_reference(run, folder)
        (folder / "model").symlink_to(run / "model")
        shutil.copy(run / "predictions_test.npz", folder)
        work(folder, environments.ensure(REFERENCE_ENVIRONMENT).python, "reload")
        (event,) = [event for event in events(folder) if event["event"] == "reloaded"]
        return Line("the Hugging Face folder read by AutoModel: logits", event["max_difference"], 1e-5)

    def repetition_line(self, recipe: Sequence[str], name: str) -> Line:
        """Compare the predictions of two runs with the same seed, with dropout on."""
        short = ["data.train_size=64"]
        logits = [predictions(self.run([*recipe, *short], f"{name}-{turn}")) for turn in ("first", "second")]
        return Line("the same seed twice, with dropout: logits", float(np.abs(logits[0] - logits[1]).max()), 0.0)


def job_for_reference(run: Path, folder: Path) -> None:
    """Write the job of a run into `folder`, for the reference."""
    job = contents(run / "job.json") | {"recipe": "reference"}
    (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
    for name in ("head.npz", "order.npy"):
        shutil.copy(run / name, folder)


def work(folder: Path, python: Path, action: str) -> None:
    """Run the worker's action on the job in `folder` to its end."""
    with worker(folder, python, action, threads=1) as process:
        code = process.wait()
    if code:
        log = (folder / "log.txt").read_text(encoding="utf-8", errors="replace")
        raise UserError(f"the worker's action {action} failed:\n{log[-3000:]}")


def python_of(run: Path) -> Path:
    """Return the interpreter of a run that this very command has made: what its folder names is what was asked for."""
    return environments.of(contents(run / "result.json")["environment"], contents(run / "config.yaml")["env"]).python


def events(folder: Path) -> list[Event]:
    return list(read_events(folder / "events.jsonl"))


def predictions(run: Path) -> np.ndarray:
    return np.load(run / "predictions_test.npz")["logits"]


def hidden_lines(run: Path, reference: Path) -> list[Line]:
    """Compare the last hidden states before training, at unpadded positions."""
    own, other = (np.load(folder / "hidden.npz") for folder in (run, reference))
    return [
        Line(f"last hidden state, {mode} mode", float(np.abs(own[mode] - other[mode]).max()), 1e-5)
        for mode in ("eval", "train")
    ]


def training_lines(run: Path, reference: Path) -> list[Line]:
    """Compare the losses of all steps, and some norms of the gradient before clipping; relative differences."""
    own, other = (
        {e["step"]: e for e in events(folder) if e["event"] == "step" and e.get("loss") is not None}
        for folder in (run, reference)
    )
    if own.keys() != other.keys():
        raise UserError(f"steps reported: {sorted(own)}; those of the reference: {sorted(other)}")
    losses = [relative(told(own[step], "loss"), told(other[step], "loss")) for step in sorted(own)]
    norms = [relative(told(own[step], "grad_norm"), told(other[step], "grad_norm")) for step in NORM_STEPS]
    rates = [abs(told(own[step], "learning_rate") - told(other[step], "learning_rate")) for step in sorted(own)]
    return [
        Line("first loss, relative", losses[0], 1e-6),
        Line(f"losses of {len(losses)} steps, relative", max(losses), 1e-5, f"step {int(np.argmax(losses)) + 1}"),
        *(
            Line(f"norm of the gradient at step {step}, relative", norm, 1e-5)
            for step, norm in zip(NORM_STEPS, norms, strict=True)
        ),
        Line("learning rates", max(rates), 1e-9),
    ]


def told(step: Event, key: Literal["loss", "learning_rate", "grad_norm"]) -> float:
    """Return what a step of the controlled protocol reports; a library that tells nothing of it cannot be compared."""
    if (value := step.get(key)) is None:
        raise UserError(f"step {step['step']} has no {key}.")
    return value


def relative(one: float, other: float) -> float:
    return abs(one - other) / abs(other)


def weights_line(run: Path, reference: Path) -> Line:
    """Compare the weights after training by their Hugging Face names: the tensor that differs most.

    The difference of a tensor is the largest of an element over the largest element. The keys' biases stand among the
    parts, but are not taken for the worst: softmax takes no notice of them, so that their gradient is rounding noise,
    which Adam scales up to whole steps.
    """
    own, other = weights(run), weights(reference)
    if own.keys() != other.keys():
        raise UserError(f"the saved weights differ in their names: {sorted(own.keys() ^ other.keys())}")
    parts = {
        name: float(np.abs(own[name] - other[name]).max() / (np.abs(other[name]).max() or 1.0)) for name in sorted(own)
    }
    worst = max((name for name in parts if not name.endswith("key.bias")), key=lambda name: parts[name])
    return Line("weights after training, the worst tensor", parts[worst], None, worst, parts)


def weights(run: Path) -> dict[str, np.ndarray]:
    """Return the saved weights, the head's too, but not the pooler: it is handed on, and nothing computes it."""
    from safetensors.numpy import load_file

    encoder, head = (load_file(run / "model" / f"{name}.safetensors") for name in ("model", "head"))
    trained = {name: values for name, values in encoder.items() if not name.startswith("pooler.")}
    return trained | {f"head.{name}": values for name, values in head.items()}
