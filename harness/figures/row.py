"""The row of a run: one flat JSON object, `result.json`. outputs/README.md says what each key means."""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.base.environments import Environment
from harness.figures import compute, mistakes, outputs
from harness.figures.measured import inference, steps
from harness.figures.metrics import METRICS, multilabel
from harness.figures.moved import moved
from harness.machine import host
from harness.machine.quiet import timing
from harness.runs.outcome import Outcome
from harness.runs.prepare import SCHEMA
from harness.runs.row import Row
from harness.runs.store import write_json
from recipes.contract.ragged import read_array
from recipes.contract.split import Split
from recipes.contract.tasks import TASKS

if TYPE_CHECKING:
    from harness.inputs.data import Dataset
    from harness.runs.attempt import Attempt
    from harness.runs.prepare import Prepared


RELOAD_TOLERANCE = 1e-4  # of a logit; the same code on the same machine should give 0


def row(prepared: "Prepared", done: "Attempt", folder: Path, command: str) -> Row:
    """Return the row of an attempt at the run of `folder`; metrics.json, with the figures by class, is written too."""
    settings, resolved = prepared.settings, prepared.resolved
    outcome, environment, working = done.outcome, done.environment, done.working
    if prepared.placed.first:
        check_reload(outcome)
    scored = outcome.status == "finished" and prepared.placed.first
    figures = quality(prepared, working, settings.evaluate) if scored else {}
    model, after = prepared.model, working / "model"
    libraries = versions(environment, settings.recipe.libraries)
    drawn = model.drawn if model else None
    own = outcome.resources.get("finetune")
    values = {
        "schema": SCHEMA,
        "status": outcome.status,
        "reason": outcome.reason,
        "attempts": done.number,
        "log": log_of(outcome, working, folder),
        "recipe": settings.recipe.name,
        "data": settings.data.name,
        "task": prepared.dataset.task,
        "model": model.name if model else None,
        "protocol": settings.protocol.name,
        "precision": prepared.identity.precision,
        "compile": prepared.identity.compile or "none",
        "batches": prepared.identity.batches or "padded",
        "matmul_precision": own["matmul_precision"] if own else None,
        "seed": settings.seed,
        "placement": prepared.placed.name,
        "processes": prepared.placed.processes,
        **figures,
        **(trained := training(prepared, outcome)),
        "train.weights_moved": moved(model.folder, after, resolved.precision) if scored and model else None,
        **to_target(settings.measure.target, prepared.dataset, working, outcome, figures | trained),
        **{f"{split}.texts_{what}": event[what] for split, event in outcome.drawn.items() for what in ("cut", "boxed")},
        "worker.seconds": outcome.worker_seconds,
        **{f"phase.{name}.{key}": value for name, phase in outcome.phases.items() for key, value in phase.items()},
        **done.monitor.figures(),
        **own_memory(outcome),
        **inference(working, outcome),
        "reload.max_difference": outcome.reload_max_difference,
        "model.parameters": outcome.parameters,
        "model.size_mb": size_mb(after),
        "environment": environment.name if environment else None,
        "environment.size_mb": environment.size_mb if environment else None,
        "environment.packages": len(environment.packages) if environment else None,
        "recipe.lines": done.lines,
        "library_versions": libraries,
        "threads": resolved.threads,
        "machine": host.describe(),
        **outcome.quiet,
        "timing": timing(bool(outcome.quiet["machine.quiet"]), settings.measure.noisy) if outcome.quiet else None,
        "data_digest": prepared.dataset.digest,
        "weights_digest": model.digest if model else None,
        "weights_drawn": drawn,
        "code_digest": prepared.identity.code,
        "revision": done.revision,
        "ended": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "identity_digest": prepared.identity.digest(resolved.threads, drawn, libraries),
        **prepared.identity.keys(),
        "command": command,
    }
    return Row(values)


def quality(prepared: "Prepared", working: Path, splits: Sequence[str]) -> dict[str, float]:
    """Score the predictions of `splits`; those whose text does not stand in train apart, where some do."""
    metrics, names = METRICS[prepared.dataset.task], prepared.dataset.labels
    figures: dict[str, float] = {}
    by_class, thresholds = {}, {}
    for name in splits:
        saved = np.load(working / f"predictions_{name}.npz")
        labels, logits = outputs.of_split(prepared.dataset.task, saved, prepared.dataset.scale)
        figures |= {f"{name}.{key}": value for key, value in metrics.scores(labels, logits, names).items()}
        by_class[name] = metrics.details(labels, logits, names)
        outputs.keep_counted(prepared.dataset.task, labels, logits, names, working, name)
        if name == "valid":
            mistakes.keep(
                prepared.dataset.folder / name, prepared.dataset.task, names, prepared.dataset.scale, working, name
            )
        if prepared.dataset.task == "multilabel":
            thresholds[name] = (labels, logits)
        unseen = read_array(prepared.dataset.folder / name / "seen.bin", "uint8") == 0
        figures[f"{name}.seen_in_train"] = int(len(unseen) - unseen.sum())
        if 0 < unseen.sum() < len(unseen):
            rows = [outputs.rows_of(values, unseen) for values in (labels, logits)]
            of_unseen = metrics.scores(rows[0], rows[1], names)
            figures |= {f"{name}_unseen.{key}": value for key, value in of_unseen.items()}
    write_json(working / "metrics.json", by_class)
    return figures | at_chosen_threshold(thresholds)


def at_chosen_threshold(splits: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> dict[str, float]:
    """Return the threshold that valid chooses, and F1 of all splits with it, from their labels and logits."""
    if "valid" not in splits:
        return {}
    threshold = multilabel.chosen_threshold(*splits["valid"])
    found = {
        f"{name}.{key}_chosen": value
        for name, both in splits.items()
        for key, value in multilabel.at(threshold, *both).items()
    }
    return {"threshold": threshold, **found}


def log_of(outcome: Outcome, working: Path, folder: Path) -> str | None:
    """Return where the log of a run that did not finish will be; None of one that ended before anything was started."""
    if outcome.status == "finished":
        return None
    own = folder / outcome.log_name if (working / outcome.log_name).exists() else None
    log = outcome.log or own
    return str(log) if log else None


def check_reload(outcome: Outcome) -> None:
    """Fail a run whose model gives no numbers, or gives others when it has been saved and loaded again."""
    difference = outcome.reload_max_difference
    if difference is not None and math.isnan(difference):
        outcome.reload_max_difference = None
        outcome.end("failed", "the model's logits are not finite: training diverged; try a smaller learning rate")
    elif outcome.status == "finished" and (difference is None or difference > RELOAD_TOLERANCE):
        outcome.end("failed", f"the saved model, loaded again, gives other logits (largest difference {difference})")


def training(prepared: "Prepared", outcome: Outcome) -> dict[str, float | None]:
    """Return the figures of the training phase; a sample counts once an epoch, padding never counts."""
    seconds = outcome.phases.get("train", {}).get("seconds") or None  # None too where it rounds to 0
    if seconds and outcome.evaluating:
        seconds = round(seconds - outcome.evaluating, 3)
    if seconds and outcome.resumed:
        seconds = round(seconds + outcome.resumed[1], 3)
    split = Split("train", *prepared.folders("train"))
    train = prepared.settings.train
    trained = prepared.settings.recipe.by_epochs
    epochs = train.epochs if trained else 1
    useful = None
    if prepared.model:
        names = TASKS[prepared.dataset.task].outputs(prepared.dataset.labels)
        useful = compute.training_gflop(prepared.model.config, split.lengths, epochs, names)
    devices = prepared.placed.processes if prepared.placed.gpu else 1  # processors are shared out, GPUs are added
    return {
        "train.rows": len(split),
        "train.epochs": epochs if trained else None,
        "train.batch_size": train.batch_size if trained else None,
        "train.accumulate": train.accumulate if trained else None,
        "train.steps": outcome.steps,
        "train.resumed_at_step": outcome.resumed[0] if outcome.resumed else None,
        "train.seconds": seconds,
        **steps(outcome.train_start, outcome.reported),
        "train.compile_seconds": round(outcome.compiled["seconds"], 3) if outcome.compiled else None,
        "train.shapes": outcome.compiled["shapes"] if outcome.compiled else None,
        "train.samples_per_second": round(epochs * len(split) / seconds, 1) if seconds else None,
        "train.real_tokens_per_second": (
            round(epochs * int(split.lengths.sum()) / seconds, 1) if seconds and prepared.tokens else None
        ),
        **compute.figures(useful, outcome.peak_gflops, seconds, devices),
    }


def own_memory(outcome: Outcome) -> dict[str, float | None]:
    """Return the memory that the first process itself reported at its end, in MB (10^6 bytes), where it came to it."""
    told = outcome.resources
    kernel = told["finetune"]["peak_rss"] if "finetune" in told else None
    allocated = max((event["gpu_allocated_peak"] or 0 for event in told.values()), default=0)
    figures = {"memory.kernel_peak_rss_mb": kernel, "memory.gpu_allocated_peak_mb": allocated or None}
    return {key: None if value is None else round(value / 1e6, 1) for key, value in figures.items()}


def to_target(
    target: float | None, dataset: "Dataset", working: Path, outcome: Outcome, known: Mapping[str, Any]
) -> dict[str, float | None]:
    """Return the declared score on valid (the task's primary) and the seconds of training until an epoch reached it.

    As in MLPerf's time to train, what it took to evaluate is among them. A recipe without epochs ends once; a training
    that was resumed has no such time.
    """
    metrics = METRICS[dataset.task]
    if target is None or (final := known.get(f"valid.{metrics.primary}")) is None:
        return {}
    saved = dict(np.load(working / "predictions_valid.npz"))

    def score(name: str) -> float:
        arrays = saved | {"logits": np.load(working / "epochs" / name)}
        return metrics.scores(*outputs.of_split(dataset.task, arrays, dataset.scale), dataset.labels)[metrics.primary]

    good = lambda value: metrics.sign * value >= metrics.sign * target  # noqa: E731
    reached = (time - outcome.train_start for time, name in outcome.epochs if good(score(name)))
    seconds = next(reached, None)
    if not outcome.epochs and good(final):
        seconds = known["train.seconds"]
    if seconds is None or outcome.resumed:
        return {"train.target": target, "train.target_seconds": None}
    return {"train.target": target, "train.target_seconds": round(seconds, 3)}


def size_mb(folder: Path) -> float | None:
    """Return what the files in a folder take, in MB (10^6 bytes).

    A library's own format lies in a folder below, beside the Hugging Face files: the model would count twice.
    """
    if not folder.exists():
        return None
    return round(sum(path.stat().st_size for path in folder.iterdir() if path.is_file()) / 1e6, 2)


def versions(environment: Environment | None, libraries: Sequence[str]) -> str | None:
    """Return the versions of the libraries that make a recipe, of those that the environment has.

    A recipe with several backends names them all; packages.txt has the versions of all packages.
    """
    if environment is None:
        return None
    return " ".join(f"{name}=={environment.packages[name]}" for name in libraries if name in environment.packages)
