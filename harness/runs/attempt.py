"""One attempt at a run: its folder is filled, its environment made ready, its worker watched to the end."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from harness.base import environments, progress
from harness.base.errors import UserError, explain
from harness.inputs import controlled
from harness.machine import host
from harness.machine.monitor import Monitor
from harness.runs import code, store
from harness.runs.launch import Judge, Outcome, work
from harness.runs.lines import recipe_lines
from harness.runs.loggers import Loggers
from harness.runs.prepare import Prepared
from recipes.contract.job import Dropout, Every, Job, Measure, Rows, Train


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
    recipe, protocol = config["recipe"]["name"], config["protocol"]["name"]
    try:
        done.revision, done.lines = code.revision(), recipe_lines(recipe, protocol)
        write_job(config, prepared, working)
        done.environment = environments.of(config["recipe"]["environment"], config["env"])
        packages = "".join(f"{name}=={version}\n" for name, version in done.environment.packages.items())
        (working / "packages.txt").write_text(packages, encoding="utf-8")
        threads = config["threads"] or host.processors()
        done.loggers = loggers(config, prepared, working)
        python, placed = done.environment.python, prepared.placed
        work(working, python, threads, placed, config["limits"], done.outcome, done.monitor, done.loggers)
        env = config["env"]
        if not environments.is_ours(env) and (done.outcome.error or {}).get("type") == "ModuleNotFoundError":
            pins = f"configs/environments/{config['recipe']['environment']}.txt"
            where, instead = (env, ", or take env=managed") if env != "managed" else (python, "")
            done.outcome.reason = f"{done.outcome.reason} in {where}: install {pins} there{instead}"
    except UserError as error:
        done.outcome.end("failed", error.message)
        done.outcome.log = error.log
    except OSError as error:
        done.outcome.end("failed", explain(error))
    except KeyboardInterrupt:
        done.outcome.end("interrupted", "stopped (Ctrl-C or a signal); the same command goes on with it")
    if not code.is_still(prepared.identity["code"], recipe, protocol):
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


def write_job(config: dict[str, Any], prepared: Prepared, working: Path) -> None:
    """Write what the worker reads (`job.json`) and what people read (`config.yaml`, `data_report.json`)."""
    splits = {
        name: Rows(prepared.dataset.folder / name, prepared.tokens.folder / name if prepared.tokens else None)
        for name in ("train", *config["evaluate"])  # the worker does not know where the others lie
    }
    model, protocol = prepared.model, config["protocol"]
    measure = {key: value for key, value in config["measure"].items() if key != "noisy"}
    sizes = tuple(measure["batch_sizes"]) if "test" in config["evaluate"] else ()
    job = Job(
        folder=working,
        recipe=config["recipe"]["name"],
        seed=config["seed"],
        precision=config["precision"],
        labels=tuple(prepared.dataset.labels),
        protocol=protocol["name"],
        settings=config["recipe"] | {key: value for key, value in protocol.items() if key != "name"},
        train=Train(**config["train"]),
        placement=prepared.placed.of_job(),
        checkpoint=Every(**config["checkpoint"]),
        weights=model.folder if model else None,
        pooling=config["model"]["pooling"] if model else None,
        dropout=Dropout(**model.dropout(config["model"]["dropout"])) if model else None,
        splits=splits,
        measure=Measure(**measure | {"batch_sizes": sizes}),
    )
    job.write()
    prepared.placed.write(working)
    if model and prepared.tokens and protocol["name"] == "controlled":
        controlled.write(job, model.hidden_size)
    report = {**prepared.dataset.report, "tokens": prepared.tokens.report if prepared.tokens else None}
    store.write_json(working / "data_report.json", report)
    text = yaml.safe_dump(json.loads(json.dumps(config)), sort_keys=False, allow_unicode=True)
    (working / "config.yaml").write_text(text, encoding="utf-8")
