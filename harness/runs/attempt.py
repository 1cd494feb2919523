"""One attempt at a run: its folder is filled, its environment made ready, its worker watched to the end."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import yaml

from harness.base import environments, progress
from harness.base.errors import UserError, explain
from harness.config import plain
from harness.inputs import controlled
from harness.machine.monitor import Monitor
from harness.runs import code, store
from harness.runs.launch import work
from harness.runs.lines import recipe_lines
from harness.runs.loggers import Loggers
from harness.runs.outcome import Judge, Outcome
from harness.runs.prepare import Prepared
from recipes.contract.job import Dropout, Job, Measure, Rows, Train
from recipes.contract.tasks import TASKS


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


def attempt(prepared: Prepared, working: Path, number: int, judge: Judge | None = None) -> Attempt:
    """Do the run in its working folder; how it ends is told, not raised."""
    done = Attempt(working, Outcome(judge=judge), Monitor(prepared.placed.devices), number)
    settings, resolved = prepared.settings, prepared.resolved
    recipe, protocol = settings.recipe, settings.protocol.name
    try:
        done.revision, done.lines = code.revision(), recipe_lines(recipe.name, protocol)
        write_job(prepared, working)
        done.environment = environments.of(resolved.managed, settings.env)
        packages = "".join(f"{name}=={version}\n" for name, version in done.environment.packages.items())
        (working / "packages.txt").write_text(packages, encoding="utf-8")
        done.loggers = loggers(prepared, working)
        python, env = done.environment.python, settings.env
        work(working, python, resolved, settings.limits, done.outcome, done.monitor, done.loggers)
        if not environments.is_ours(env) and done.outcome.error_type == "ModuleNotFoundError":
            pins = f"configs/environments/{resolved.managed}.txt"
            where, instead = (env, ", or take env=managed") if env != "managed" else (python, "")
            done.outcome.reason = f"{done.outcome.reason} in {where}: install {pins} there{instead}"
    except UserError as error:
        done.outcome.end("failed", error.message)
        done.outcome.log = error.log
    except OSError as error:
        done.outcome.end("failed", explain(error, working))
    except KeyboardInterrupt:
        done.outcome.end("interrupted", "stopped (Ctrl-C or a signal); the same command goes on with it")
    if not code.is_still(prepared.identity.code, recipe.name, protocol):
        said = f"the code of recipe={recipe.name} was edited meanwhile"
        progress.say(f"{said}: the result is told as of that it began with")
    return done


def loggers(prepared: Prepared, working: Path) -> Loggers:
    """Start the loggers that are chosen, and tell them what the run is."""
    settings = prepared.settings
    about = {
        "recipe": settings.recipe.name,
        "data": settings.data.name,
        "model": prepared.model.name if prepared.model else None,
        "protocol": settings.protocol.name,
        "precision": prepared.identity.precision,
        "seed": settings.seed,
        **asdict(settings.train),
    }
    rows = settings.train.epochs * prepared.dataset.report["splits"]["train"]["rows"]
    return Loggers(settings.logger, working, settings.results, store.name_of(working), rows, about)


def write_job(prepared: Prepared, working: Path) -> None:
    """Write what the worker reads (`job.json`) and what people read (`config.yaml`, `data_report.json`)."""
    settings, dataset, model, tokens = prepared.settings, prepared.dataset, prepared.model, prepared.tokens
    splits = {
        name: Rows(*prepared.folders(name))
        for name in ("train", *settings.evaluate)  # the worker does not know where the others lie
    }
    measure = {key: value for key, value in asdict(settings.measure).items() if key != "noisy"}
    files = {key: str(path) for key, path in settings.recipe.chosen_files.items()}
    sizes = settings.measure.batch_sizes if "test" in settings.evaluate else ()
    job = Job(
        folder=working,
        recipe=settings.recipe.name,
        seed=settings.seed,
        precision=prepared.resolved.precision,
        labels=tuple(dataset.labels),
        protocol=settings.protocol.name,
        settings={**settings.recipe.values, **files, **settings.protocol.settings},
        train=Train(**asdict(settings.train)),
        placement=prepared.placed.of_job(),
        checkpoint=settings.checkpoint,
        weights=model.folder if model else None,
        pooling=settings.model.pooling if model and dataset.task != "tagging" else None,
        dropout=Dropout(**model.dropout(settings.model.dropout)) if model else None,
        splits=splits,
        measure=Measure(**measure | {"batch_sizes": sizes}),
        task=TASKS[dataset.task],
        scale=dataset.scale,
        compile=prepared.identity.compile or "none",
        packed=prepared.identity.batches == "packed",
    )
    job.write()
    prepared.placed.write(working)
    if model and tokens and settings.protocol.name == "controlled":
        controlled.write(job, model.hidden_size)
    report = {**dataset.report, "tokens": tokens.report if tokens else None}
    store.write_json(working / "data_report.json", report)
    values = plain(settings) | {"precision": prepared.resolved.precision, "hparams_search": {}}  # a run is no search
    values |= {"compile": job.compile, "batches": "packed" if job.packed else "padded"}
    text = yaml.safe_dump(json.loads(json.dumps(values)), sort_keys=False, allow_unicode=True)
    (working / "config.yaml").write_text(text, encoding="utf-8")
