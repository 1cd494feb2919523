"""One run, from the configuration to its result: data, weights, tokens, environment, worker, metrics."""

import contextlib
import copy
import functools
import json
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from harness import code, controlled, data, environments, machine, models, placement, progress, result, store, summary
from harness.errors import UserError, explain
from harness.identity import edited_since
from harness.launch import Judge, Outcome, work
from harness.lines import recipe_lines
from harness.loggers import Loggers
from harness.monitor import Monitor
from recipes.split import Split

Show = Callable[[dict[str, Any], Path], None]


def run(config: dict[str, Any], command: str, show: Show = summary.show, judge: Judge | None = None) -> dict[str, Any]:
    """Do the run that `config` describes, unless it is finished already; show its row and folder, return the row."""
    prepared = prepare(config)
    folder = store.directory(Path(config["outputs"]), prepared.identity)
    with store.claimed(folder):
        row = store.finished(folder)
        if row and not config["rerun"]:
            where = " (on all machines: they train together)" if prepared.placed.machines > 1 else ""
            progress.say(f"finished already; rerun=true runs it again{where}")
        else:
            begun = folder.exists() or store.in_progress(folder).exists()
            if not begun and (before := edited_since(folder, prepared.identity)):
                progress.say(f"the code of recipe={config['recipe']['name']} was edited since {before}: another run")
            row, folder = worked(config, prepared, folder, command, judge)
    show(row, folder)
    if row["status"] == "interrupted":
        raise KeyboardInterrupt  # a sweep ends with it
    return row


def worked(
    config: dict[str, Any], prepared: "Prepared", folder: Path, command: str, judge: Judge | None
) -> tuple[dict[str, Any], Path]:
    """Do the run, again where that may help; return its row and where that is."""
    number, config, anew = 1, copy.deepcopy(config), config["rerun"]
    while True:
        attempted = attempt(config, prepared, store.working(folder, anew), number, copy.deepcopy(judge))
        if number > config["retries"] or not (how := changed(config, attempted.outcome)):
            break
        progress.say(f"{attempted.outcome.reason}; trying again{how}")
        number, anew = number + 1, False
        if attempted.loggers:
            attempted.loggers.close({"status": attempted.outcome.status})
    with uninterrupted():
        row = result.row(config, prepared, attempted, folder, command)
        if attempted.loggers:
            attempted.loggers.close(row)
        return row, store.settle(folder, row)


def changed(config: dict[str, Any], outcome: Outcome) -> str | None:
    """Say how another attempt, which may end otherwise, is to be done; None where there is no hope in one."""
    train, halves = config["train"], config["recipe"]["pretrained"] and config["on_oom"] == "halve_batch"
    if outcome.status == "out_of_memory" and halves and train["batch_size"] % 2 == 0:
        train["batch_size"], train["accumulate"] = train["batch_size"] // 2, train["accumulate"] * 2
        return " with half the batch"
    return ", once more" if outcome.transient else None


@dataclass(frozen=True)
class Prepared:
    """What a run starts from, and what it therefore is: `identity` decides its directory."""

    dataset: data.Dataset
    model: models.Model | None
    tokens: data.Tokens | None
    placed: placement.Placement
    identity: dict[str, Any]


def prepare(config: dict[str, Any]) -> Prepared:
    """Settle placement and precision, find weights and data, tokenise, and say what the run is.

    Weights, data and code count by their content: a file that moved is the same run, one whose bytes changed is
    another. The code is that of recipes/ which this run executes: an edit of another recipe changes nothing.
    """
    placed = placement.of(config)
    if config["protocol"]["name"] == "controlled":
        controlled.check(config)
    elif config["precision"] == "auto":
        config["precision"] = "bf16" if machine.computes_bf16(placed.devices) else "fp32"
    check_tf32(config, placed)
    placed.accelerate["mixed_precision"] = "bf16" if config["precision"] == "bf16" else "no"
    recipe = config["recipe"]
    dataset, model, tokens = found(json.dumps([config["data"], config["model"] if recipe["pretrained"] else None]))
    identity = {
        "schema": result.SCHEMA,
        "recipe": {key: value for key, value in recipe.items() if key not in placement.KEYS},
        "data": {"name": config["data"]["name"], "digest": dataset.digest},
        "model": None,
        "protocol": config["protocol"],
        "precision": None,
        "seed": config["seed"],
        "threads": config["threads"],
        "env": environments.identity(recipe["environment"], config["env"]),
        "code": code.digest(recipe["name"]),
        **placed.identity(),
    }
    if "test" not in config["evaluate"]:
        identity["evaluate"] = config["evaluate"]
    if model and tokens:
        chosen = {key: config["model"][key] for key in ("pooling", "dropout")}
        identity["model"] = {"name": model.name, "digest": model.digest, "config": model.config, **chosen}
        train = {key: value for key, value in config["train"].items() if (key, value) != ("accumulate", 1)}
        identity |= {"tokens": tokens.folder.name, "precision": config["precision"], "train": train}
    return Prepared(dataset, model, tokens, placed, identity)


def check_tf32(config: dict[str, Any], placed: placement.Placement) -> None:
    """Refuse TF32 where nothing computes in it: it would be a run in fp32 by another name."""
    if config["precision"] == "tf32" and config["recipe"]["pretrained"] and not machine.computes_tf32(placed.devices):
        where = "these GPUs are older" if placed.gpu else f"placement={placed.name} is on processors"
        raise UserError(
            f"precision=tf32 is for NVIDIA's GPUs of compute capability 8.0 or newer, and {where}.\n"
            "Take precision=fp32, or bf16.",
            code=2,
        )


@functools.cache
def found(sections: str) -> tuple[data.Dataset, models.Model | None, data.Tokens | None]:
    """Return what `data` and `model` (JSON; no model: null) describe; made and checked once for all runs of a sweep."""
    described, wanted = json.loads(sections)
    dataset = data.prepare(described)
    if not wanted:
        return dataset, None, None
    model = models.find(wanted)
    length = described["max_length"] or model.longest
    if length > model.longest:
        raise UserError(f"data.max_length={length}: {model.name} takes at most {model.longest} tokens.", code=2)
    return dataset, model, data.tokenise(dataset, model.tokenizer, length)


def directory(config: dict[str, Any]) -> Path:
    """Return where the run that `config` describes is, or will be."""
    return store.directory(Path(config["outputs"]), prepare(config).identity)


@dataclass
class Attempt:
    """What became of a run: how it ended, what it used, and where its files are."""

    working: Path
    outcome: Outcome
    monitor: Monitor
    number: int = 1
    revision: str | None = None  # of the code, and the lines of the recipe, when it began
    lines: int | None = None
    environment: environments.Environment | None = None
    loggers: Loggers | None = None


def attempt(
    config: dict[str, Any], prepared: Prepared, working: Path, number: int, judge: Judge | None = None
) -> Attempt:
    """Do the run in its working folder; how it ends is told, not raised."""
    done = Attempt(working, Outcome(judge=judge), Monitor(prepared.placed.devices), number)
    recipe = config["recipe"]["name"]
    try:
        done.revision, done.lines = code.revision(), recipe_lines(recipe)
        write_job(config, prepared, working)
        done.environment = environments.of(config["recipe"]["environment"], config["env"])
        packages = "".join(f"{name}=={version}\n" for name, version in done.environment.packages.items())
        (working / "packages.txt").write_text(packages, encoding="utf-8")
        threads = config["threads"] or machine.processors()
        done.loggers = loggers(config, prepared, working)
        python, placed = done.environment.python, prepared.placed
        work(working, python, threads, placed, config["limits"], done.outcome, done.monitor, done.loggers)
        if config["env"] != "managed" and (done.outcome.error or {}).get("type") == "ModuleNotFoundError":
            pins = f"configs/environments/{config['recipe']['environment']}.txt"
            done.outcome.reason = f"{done.outcome.reason} in {config['env']}: install {pins} there, or take env=managed"
    except UserError as error:
        done.outcome.end("failed", error.message)
        done.outcome.log = error.log
    except OSError as error:
        done.outcome.end("failed", explain(error))
    except KeyboardInterrupt:
        done.outcome.end("interrupted", "stopped (Ctrl-C or a signal); the same command goes on with it")
    if not code.is_still(prepared.identity["code"], recipe):
        progress.say(f"the code of recipe={recipe} was edited meanwhile: the result is told as of that it began with")
    return done


def loggers(config: dict[str, Any], prepared: Prepared, working: Path) -> Loggers:
    """Start the loggers that are chosen, and tell them what the run is."""
    about = {"recipe": config["recipe"]["name"], "data": config["data"]["name"]}
    about |= {"model": prepared.model.name if prepared.model else None, "protocol": config["protocol"]["name"]}
    about |= {"precision": prepared.identity["precision"], "seed": config["seed"], **config["train"]}
    outputs = Path(config["outputs"]).expanduser().absolute()
    rows = config["train"]["epochs"] * prepared.dataset.report["splits"]["train"]["rows"]
    return Loggers(config["logger"], working, outputs, store.name_of(working), rows, about)


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM wait: a result is written whole, in well under a second."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def write_job(config: dict[str, Any], prepared: Prepared, working: Path) -> None:
    """Write what the worker reads (`job.json`) and what people read (`config.yaml`, `data_report.json`)."""
    splits = {}
    for name in ("train", *config["evaluate"]):  # the worker does not know where the others lie
        splits[name] = {"data": str(prepared.dataset.folder / name)}
        if prepared.tokens:
            splits[name]["tokens"] = str(prepared.tokens.folder / name)
    model, protocol = prepared.model, config["protocol"]
    job = {
        "recipe": config["recipe"]["name"],
        "seed": config["seed"],
        "precision": config["precision"],
        "labels": prepared.dataset.labels,
        "protocol": protocol["name"],
        "settings": config["recipe"] | {key: value for key, value in protocol.items() if key != "name"},
        "train": config["train"],
        "placement": prepared.placed.accelerate,
        "checkpoint": config["checkpoint"],
        "weights": str(model.folder) if model else None,
        "pooling": config["model"]["pooling"] if model else None,
        "dropout": model.dropout(config["model"]["dropout"]) if model else None,
        "splits": splits,
        "measure": config["measure"] if "test" in config["evaluate"] else {**config["measure"], "batch_sizes": []},
    }
    store.write_json(working / "job.json", job)
    prepared.placed.write(working)
    if model and prepared.tokens and protocol["name"] == "controlled":
        train = Split("train", prepared.dataset.folder / "train", prepared.tokens.folder / "train")
        train_keys = config["train"]
        rows_of_step = train_keys["batch_size"] * train_keys["accumulate"] * prepared.placed.processes
        controlled.write(working, config, rows_of_step, model.hidden_size, len(prepared.dataset.labels), train.lengths)
    report = {**prepared.dataset.report, "tokens": prepared.tokens.report if prepared.tokens else None}
    store.write_json(working / "data_report.json", report)
    text = yaml.safe_dump(json.loads(json.dumps(config)), sort_keys=False, allow_unicode=True)
    (working / "config.yaml").write_text(text, encoding="utf-8")
