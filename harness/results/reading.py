"""Results that are there: found below folders of outputs, chosen by the keys of their rows, grouped with their like.

Both forms are read: a run's whole folder, and the small one of `outputs/reference/` (outputs/README.md says what each
has). A row is read at once, everything else when it is asked for.
"""

from __future__ import annotations

import json
import math
import os
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from harness.base.errors import UserError, nearest
from harness.base.home import ROOT
from harness.figures.metrics import CLASSIFICATION, METRICS, Metrics
from harness.runs.row import Row
from recipes.contract.tasks import TASKS

REFERENCE = ROOT / "outputs" / "reference"
SHORT = 8  # characters of a digest that choose it, as of a commit in git
DIGESTS = ("data_digest", "weights_digest", "weights_drawn")
PARTING = ("data", "data_digest", "task", "model", "protocol", "precision", "machine", "threads", "train.epochs")


class Group(NamedTuple):
    """What results must share to be compared; None: whatever (a recipe without an encoder has no model).

    Such a one may have a precision, epochs and batches; they are its own, and no other's.
    """

    data: str
    data_digest: str
    task: str
    model: str | None
    weights: str | None  # their digest; of those that the run's seed drew, what they were drawn for
    protocol: str
    precision: str | None
    machine: str
    threads: int
    placement: str
    processes: int
    epochs: int | None
    batch: int | None  # rows of an optimiser step in each process
    settings: str  # words of the command about the model or the protocol, and the experiment

    @property
    def title(self) -> str:
        """Return what the group is, in a line."""
        train = f"{self.epochs} epoch{'s' * (self.epochs > 1)}, batches of {self.batch}" if self.epochs else None
        task = self.task if self.task != CLASSIFICATION else None
        parts = [self.data, task, self.model, self.protocol, self.precision, train, self.settings, self.where]
        return ", ".join(part for part in parts if part)

    @property
    def metrics(self) -> Metrics:
        """Return the figures of its task."""
        return METRICS[self.task]

    @property
    def where(self) -> str:
        """Return on what it was run."""
        placement = f"{self.placement} in {self.processes} processes, " if self.placement != "cpu" else ""
        return f"{placement}{self.threads} thread{'s' * (self.threads > 1)}, {self.machine}"


@dataclass
class Result:
    """One run: its row, and from its folder what it predicted, how long calls took, how it learnt."""

    row: Row
    folder: Path

    @property
    def finished(self) -> bool:
        return self.row["status"] == "finished"

    @property
    def tested(self) -> bool:
        """Tell whether it has test figures; a search's trial has none."""
        return self.finished and f"test.{self.metrics.primary}" in self.row

    @property
    def task(self) -> str:
        """Return the name of its task."""
        return self.row.get("task") or CLASSIFICATION

    @property
    def metrics(self) -> Metrics:
        """Return the figures of its task."""
        return METRICS[self.task]

    @property
    def timed(self) -> bool:
        """Tell whether its times may be compared: the machine was quiet, or somebody said that they count."""
        return self.row.get("timing") in ("ok", "told")

    @cached_property
    def words(self) -> dict[str, str]:
        """Return the keys and values that its command gave."""
        command = self.row.get("command") or ""
        split = shlex.split if "'" in command or '"' in command else str.split  # shlex takes 50 times as long
        return {key: value for key, equals, value in (word.partition("=") for word in split(command)) if equals}

    @cached_property
    def name(self) -> str:
        """Return what competes: the recipe, and what was set of it: `keras backend=jax`."""
        own = {key: self.words[key] for key in ("batches", "compile") if key in self.words}
        overrides = {
            key[len("recipe.") :]: value for key, value in self.words.items() if key.startswith("recipe.")
        } | own
        return " ".join([self.row["recipe"], *(f"{key}={value}" for key, value in sorted(overrides.items()))])

    @cached_property
    def group(self) -> Group:
        row = self.row
        batch = row["train.batch_size"] * (row.get("train.accumulate") or 1) if row.get("train.batch_size") else None
        others = {"data.max_length", "experiment", "measure.target"}  # an experiment sets what the command does not say
        given = {key for key in self.words if key.startswith(("model.", "protocol.")) or key in others}
        given -= {"model.path"}  # weights count by their content
        weights = row["weights_digest"]
        if self.words.get("model.from_scratch", "seed") in ("null", "seed"):  # not the same draw for all seeds
            weights = row.get("weights_drawn") or weights
            given -= {"model.from_scratch"}  # the model's name says it
        settings = " ".join(f"{key}={self.words[key]}" for key in sorted(given))
        placed = (row["machine"], row["threads"], row.get("placement") or "cpu", row.get("processes") or 1)
        precision, epochs = row["precision"], row["train.epochs"]
        if not row["model"]:
            precision = epochs = batch = None
        work = (row["data"], row["data_digest"], self.task, row["model"], weights, row["protocol"], precision)
        return Group(*work, *placed, epochs, batch, settings)

    def value(self, key: str) -> Any:
        """Return what the row says of a key, or else its command."""
        return self.row[key] if key in self.row else self.words.get(key)

    def predictions(self, split: str = "test") -> tuple[np.ndarray, np.ndarray]:
        """Return labels and answers of a split, both as its task has labels, in the order of its rows."""
        path, task = self.folder / f"predictions_{split}.npz", TASKS[self.task]
        if (counted := self.folder / f"counted_{split}.npz").is_file():
            path = counted
        try:
            with np.load(path) as saved:
                answers = saved["predicted"] if "predicted" in saved else task.answers(saved["logits"])
                return saved["labels"].astype(task.dtype), answers.astype(task.dtype)
        except (OSError, KeyError, ValueError) as error:
            raise UserError(f"{path}: cannot be read ({error}).\nThe run must be done again: rerun=true.") from None

    @cached_property
    def latencies(self) -> dict[int, np.ndarray]:
        """Return the seconds of each call, by batch size; empty where inference was not measured."""
        try:
            with np.load(self.folder / "inference.npz") as saved:
                sizes = sorted(int(name.partition("_")[2]) for name in saved if name.startswith("seconds_"))
                return {size: saved[f"seconds_{size}"] for size in sizes}
        except FileNotFoundError:
            return {}

    @cached_property
    def curve(self) -> list[tuple[int, float]]:
        """Return the steps whose training loss was reported, with the loss."""
        if (small := self.folder / "curve.csv").is_file():
            head, *lines = small.read_text(encoding="utf-8").splitlines()
            step, loss = (head.split(",").index(name) for name in ("step", "loss"))
            cells = [line.split(",") for line in lines]
            return [(int(cell[step]), float(cell[loss])) for cell in cells if cell[loss]]
        steps = {}  # of a run that went on from a checkpoint, the last report of a step is the one that counts
        with _quiet_open(self.folder / "events.jsonl") as lines:
            for line in lines:
                if '"event": "step"' in line:
                    event = json.loads(line)
                    if event.get("loss") is not None:
                        steps[event["step"]] = event["loss"]
        return sorted(steps.items())

    @cached_property
    def classes(self) -> list[str] | None:
        """Return the names of the classes, where the folder has them."""
        if (path := self.folder / "metrics.json").is_file():
            return list(next(iter(json.loads(path.read_text(encoding="utf-8")).values()))["classes"])
        for path in self.folder.glob("predictions_*.npz"):
            with np.load(path) as saved:
                if "classes" in saved and len(saved["classes"]):
                    return [str(name) for name in saved["classes"]]
        return None


def _quiet_open(path: Path) -> Any:
    return open(path if path.exists() else os.devnull, encoding="utf-8")


def read(*places: Path) -> list[Result]:
    """Return the results below folders of outputs, in the order of their paths; a run's own folder is a place too."""
    found = []
    for place in places:
        if not place.is_dir():
            raise UserError(f"{place}: there is no such folder of results.", code=2)
        for path in sorted(_rows(str(place))):
            try:
                with open(path, "rb") as handle:
                    row = json.load(handle)
                row = {"task": CLASSIFICATION, **row, "status": row["status"]}  # older rows do not say the task
                if row["task"] not in METRICS:
                    raise UserError(f"{path}: of task={row['task']}, which this version does not know; move it away.")
                found.append(Result(Row(row), Path(path).parent))
            except (ValueError, KeyError, TypeError):
                raise UserError(
                    f"{path}: not the row of a run. Results are written whole; remove or restore the file."
                ) from None
    return found


def default_places(outputs: Path = Path("outputs")) -> list[Path]:
    """Return where results are looked for: the user's own where there are some, else those of the repository."""
    has_results = outputs.is_dir() and next(_rows(str(outputs)), None)
    return [outputs] if has_results or not REFERENCE.is_dir() else [REFERENCE]


def _rows(place: str, depth: int = 2) -> Iterator[str]:
    """Return the paths of result.json in PLACE/DATA/NAME, PLACE/NAME or PLACE itself; what is hidden is no result."""
    if os.path.isfile(row := os.path.join(place, "result.json")):
        yield row
    elif depth:
        with os.scandir(place) as entries:
            for entry in entries:
                if entry.is_dir() and not entry.name.startswith("."):
                    yield from _rows(entry.path, depth - 1)


def filtered(results: Sequence[Result], words: Iterable[str]) -> list[Result]:
    """Return the results that `key=value[,value]` choose, by the keys of their rows or of their commands."""
    left = list(results)
    for word in words:
        key, equals, text = word.partition("=")
        if not equals:
            raise UserError(
                f"'{word}': results are chosen by key=value, such as data=job_titles recipe=hf_trainer,flair.", 2
            )
        if not any(key in one.row or key in one.words for one in results):
            keys = {known for one in results for known in (*one.row, *one.words)}
            raise UserError(f"no result has a key '{key}'.{nearest(key, keys)}", code=2)
        known = {_text(one.value(key)) for one in results}
        wanted = {text} if text in known else set(text.split(","))  # a machine's name has commas in it
        if key in DIGESTS:  # a beginning will do, as headings give it
            begun = {one: {full for full in known if len(one) >= SHORT and full.startswith(one)} for one in wanted}
            wanted = {full for one in wanted for full in begun[one] or {one}}
        if missing := sorted(wanted - known):
            there = ", ".join(sorted(known)[:20])
            raise UserError(
                f"no result has {key}={missing[0]}.{nearest(missing[0], known)} There are: {there}.", code=2
            )
        left = [one for one in left if _text(one.value(key)) in wanted]
    return left


def _text(value: Any) -> str:
    return "null" if value is None else str(value)


def grouped(results: Iterable[Result]) -> dict[Group, list[Result]]:
    """Return the results that may be compared with one another, together.

    One without an encoder (there is no model) joins each group of its data, protocol and machine: it is a baseline of
    all of them.
    """
    groups: dict[Group, list[Result]] = {}
    for one in results:
        groups.setdefault(one.group, []).append(one)
    alone = {group: groups.pop(group) for group in list(groups) if group.model is None}
    for bare, baselines in alone.items():
        hosts = [
            group for group in groups if all(value in (None, "", its) for value, its in zip(bare, group, strict=True))
        ]
        for host in hosts:
            groups[host] += baselines
        if not hosts:
            groups[bare] = baselines
    return groups


def titles(groups: Mapping[Group, Sequence[Result]]) -> dict[Group, str]:
    """Return what each group is, in a line: of those whose lines would be alike, with the words that part them."""
    alike: dict[str, list[Group]] = {}
    for group in groups:
        alike.setdefault(group.title, []).append(group)
    return {
        one: ", ".join([title, *told_apart(groups[one][0], [groups[other][0] for other in ones])])
        for title, ones in alike.items()
        for one in ones
    }


def told_apart(one: Result, others: Sequence[Result]) -> list[str]:
    """Return what parts a result's data and weights from those of others: how its command chose them, and their digest.

    The digest, short as it is, chooses the group. Of a path its last name is told.
    """
    said = []
    for prefix, digest in (("data.", "data_digest"), ("model.", "weights")):
        if len({getattr(other.group, digest) for other in others}) > 1:
            said += [
                f"{key}={value if ',' in value else value.rpartition('/')[2]}"
                for key, value in one.words.items()
                if key.startswith(prefix) and any(other.words.get(key) != value for other in others)
            ]
            own = getattr(one.group, digest)
            said += [f"{key}={own[:SHORT]}" for key in DIGESTS if own and one.row.get(key) == own]
    return said


def parting(results: Iterable[Result]) -> str:
    """Return the word KEY=VALUE that parts results best: of the key that has most values."""
    found = list(results)
    values = {key: [value for one in found if (value := one.row.get(key)) is not None] for key in PARTING}
    key = max(PARTING, key=lambda key: len(set(values[key])))
    value = values[key][0]
    return shlex.quote(f"{key}={value[:SHORT] if key in DIGESTS else value}")


def beats(one: Sequence[float], other: Sequence[float]) -> bool:
    """Tell whether a point is as good as another in all respects and better in one. Less is better."""
    pairs = list(zip(one, other, strict=True))
    return all(mine <= its for mine, its in pairs) and any(mine < its for mine, its in pairs)


def pareto_front(points: Sequence[Sequence[float]]) -> list[int]:
    """Return the points that no other beats. Equal points are all on the front; a point with a NaN is never."""
    whole = [number for number, point in enumerate(points) if not any(map(math.isnan, point))]
    return [one for one in whole if not any(beats(points[other], points[one]) for other in whole)]
