"""A finished run as a model to use: found by its folder or its name, with what it takes a text through.

Whoever sent the folder, what it says is data: the code that runs, and the Python that runs it, are this checkout's and
this command line's.
"""

import json
import shlex
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypedDict, cast

import yaml

from harness.base import environments
from harness.base.errors import UserError, nearest
from harness.base.home import sha256
from harness.config.choices import takes_pictures
from harness.figures.metrics import METRICS
from harness.machine import host
from harness.runs import store
from harness.runs.row import Row
from recipes.contract.tasks import CLASSIFICATION, TASKS, Task

SHOWN = 5  # runs listed in an error


class OwnRecipe(TypedDict):
    environment: str


class OwnConfig(TypedDict):
    """What is taken from a run's config.yaml; `check` holds it to that."""

    recipe: OwnRecipe
    data: dict[str, Any]  # as its kind reads it
    evaluate: list[str]
    threads: int | None
    env: str


class OwnTask(TypedDict, total=False):
    task: str  # not of runs from before there were other tasks than classification


class OwnJob(OwnTask):
    """What is taken from a run's job.json; `check` holds it to that."""

    recipe: str
    labels: list[str]
    splits: dict[str, dict[str, str]]  # by name, each with the folders of its data and tokens


@dataclass(frozen=True)
class Saved:
    """A finished run: its folder, its result, the configuration it had, and what its worker was given."""

    folder: Path
    row: Row
    config: OwnConfig
    job: OwnJob
    env: str = "managed"  # where its recipe is run, as `env=` takes it

    @property
    def model(self) -> Path:
        return self.folder / "model"

    @property
    def task(self) -> Task:
        """What it answers a text with; runs from before there were other tasks do not say."""
        return TASKS[self.job.get("task", CLASSIFICATION.name)]

    @property
    def tokenizer(self) -> tuple[Path, int] | None:
        """The file of the tokenizer and the length in tokens that texts were cut to; None: it takes texts."""
        report = json.loads((self.folder / "data_report.json").read_text(encoding="utf-8"))
        return (self.model / "tokenizer.json", report["tokens"]["max_length"]) if report["tokens"] else None

    @property
    def scale(self) -> tuple[float, float]:
        """Mean and standard deviation that its numbers are scaled by: 0 and 1 of another task."""
        told = contents(self.folder / "data_report.json").get("scale", {"mean": 0.0, "standard_deviation": 1.0})
        return told["mean"], told["standard_deviation"]

    @property
    def takes_pictures(self) -> bool:
        """Tell whether its recipe takes pictures, beside texts, which it draws."""
        return takes_pictures(self.job["recipe"])

    @property
    def of_pictures(self) -> bool:
        """Tell whether it was trained on pictures, so that whatever it is given is the path of one."""
        return self.config["data"].get("input") == "images"

    @property
    def threads(self) -> int:
        return self.config["threads"] or host.processors()

    def environment(self) -> environments.Environment:
        """Return the recipe's environment, built first if it is not there."""
        return environments.of(self.config["recipe"]["environment"], self.env)

    def digest(self) -> dict[str, str]:
        """Return the SHA-256 of each of the model's files."""
        files = sorted(path for path in self.model.rglob("*") if path.is_file())
        return {str(path.relative_to(self.model)): sha256(path) for path in files}


def find(name: str, outputs: Path) -> Saved:
    """Return the run that `name` means: a folder, or a name in the folder of results, or how that begins."""
    folder = Path(name).expanduser()
    if not (folder / "result.json").exists():
        folder = below(name, outputs)
    folder = folder.absolute()
    row = Row(contents(folder / "result.json"))
    if row.get("status") != "finished":
        raise UserError(
            f"{folder}: this run has no model, it did not finish ({row.get('status')}): {row.get('reason')}\n"
            f"Again: {row.get('command')}"
        )
    if not (folder / "model").is_dir():
        raise UserError(f"{folder} has no model: only its results are here.\nTo train it: {row.get('command')}")
    return of(folder, row)


def of(folder: Path, row: Row) -> Saved:
    """Return the finished run whose files lie in a folder, of which this is the row."""
    config, job = (contents(folder / name) for name in ("config.yaml", "job.json"))
    return Saved(folder, row, cast(OwnConfig, config), cast(OwnJob, job))


def runnable(run: Saved, env: str | None) -> Saved:
    """Return the run with where its recipe is to be run: in `env`, by default in the recipe's own environment.

    Raises UserError where recipe or environment are none of this checkout, and for a run that was made in another
    Python, where `env` does not say which to take.
    """
    from harness.config import choices, recipes_environments

    check(run)
    name, environment, own = run.job["recipe"], run.config["recipe"]["environment"], run.config["env"]
    if name not in (known := choices("recipe")):
        raise UserError(f"{run.folder.name}: there is no recipe {name!r} here; there are {', '.join(known)}.")
    if environment not in (known := recipes_environments(name)):
        raise UserError(
            f"{run.folder.name}: {environment!r} is no environment of recipe={name} here; there are {', '.join(known)}."
        )
    if env is None and own != "managed":
        raise UserError(
            f"{run.folder.name} was run with env={own}. No interpreter is started because a run's folder names it: "
            f"say which to take, --env {shlex.quote(own)}, or --env managed for the recipe's own environment.",
            code=2,
        )
    return replace(run, env=env or own)


def threshold(run: Saved, given: str | None) -> float:
    """Return the probability above which a label is answered, as it is given: 0.5, another, or the run's own."""
    if given is None:
        return 0.5
    if run.task.name != "multilabel":
        raise UserError(f"--threshold is of several labels a text; this run is of task={run.task.name}.", code=2)
    if given == "chosen":
        if (own := run.row.get("threshold")) is None:
            raise UserError(f"--threshold chosen: {run.folder.name} has none: it was not evaluated on valid.", code=2)
        return float(own)
    try:
        value = float(given)
    except ValueError:
        value = -1.0
    if not 0 < value < 1:
        raise UserError(f"--threshold {given}: give a probability between 0 and 1, or `chosen`.", code=2)
    return value


def contents(path: Path) -> dict[str, Any]:
    """Return what a file of a run says (JSON, or YAML without tags); UserError where it cannot be read."""
    try:
        text = path.read_text(encoding="utf-8")
        values = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except FileNotFoundError:
        raise UserError(f"{path.parent} is not the whole folder of a run: {path.name} is missing.") from None
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise UserError(f"{path} cannot be read: {str(error).splitlines()[0]}") from None
    if not isinstance(values, dict):
        raise UserError(f"{path} is not what a run has written.")
    return values


def check(run: Saved) -> None:
    """Raise UserError unless a run's files say all that is taken from them, each of its kind."""
    try:
        split = run.config["evaluate"][-1]
        report, texts = contents(run.folder / "data_report.json")["tokens"], run.job["labels"]
        texts = [*texts, run.config["env"], run.config["recipe"]["environment"], run.job["recipe"]]
        texts += [run.row["precision"] or "", *run.job["splits"][split].values()]
        numbers = [run.row["threads"], run.config["threads"] or 1, report["max_length"] if report else 1]
        metrics = METRICS[run.task.name]
        shown = {f"{split}.{score}" for score in metrics.shown} & run.row.keys()  # older runs may lack one
        scores = [run.row[key] for key in {f"{split}.{metrics.primary}", *shown}]
        whole = (
            split in ("valid", "test")
            and all(isinstance(text, str) for text in texts)
            and all(isinstance(number, int) for number in numbers)
            and all(isinstance(score, float) for score in scores)
            and isinstance(run.config["data"], dict)
        )
    except (KeyError, IndexError, TypeError, AttributeError):
        whole = False
    if not whole:
        raise UserError(
            f"{run.folder}: its result.json, job.json, config.yaml or data_report.json is not what a run has written."
        )


def below(name: str, outputs: Path) -> Path:
    """Return the folder of the run with this name in the folder of results, also of one that did not finish."""
    there = {path: path.stat().st_mtime for path in outputs.glob("*/[!.]*") if store.finished(path)}
    newest = sorted(there, key=lambda path: there[path], reverse=True)
    name = name.rstrip("/")
    found = called(name, newest)
    if len(found) == 1:
        return found[0]
    if not found and (others := called(name, (path.parent for path in outputs.glob("*/[!.]*/result.json")))):
        return others[0]
    if not found and (others := called(name, (store.run_of(path) for path in outputs.glob("*/.*.working")))):
        how = (
            "is under way" if store.in_work(others[0]) else "was broken off; its command, given again, goes on with it"
        )
        raise UserError(f"{others[0]}: this run has no model yet: it {how}.")
    shown = "".join(f"\n  {path.parent.name}/{path.name}" for path in (found or newest)[:SHOWN])
    if found:
        raise UserError(f"{len(found)} finished runs in {outputs} begin with {name}, the newest first:{shown}", code=2)
    if not there:
        raise UserError(
            f"{name}: there is no such folder, and no finished run in {outputs}. train.py makes one.", code=2
        )
    begun = name.rpartition("/")[2]
    near = nearest(begun, [path.name[: len(begun)] for path in newest])
    raise UserError(f"{name}: there is no such run in {outputs}.{near} The newest that finished:{shown}", code=2)


def called(name: str, folders: Iterable[Path]) -> list[Path]:
    """Return the folders with this name, alone or below that of the data; where there is none, those that begin so."""
    named = {path: {path.name, f"{path.parent.name}/{path.name}"} for path in folders}
    found = [path for path, names in named.items() if name in names]
    return found or [path for path, names in named.items() if any(other.startswith(name) for other in names)]
