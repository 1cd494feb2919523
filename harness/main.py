"""The command line of train.py: compose the configuration, run it, and answer in words and an exit code."""

import os
import shlex
import signal
import sys
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from harness import config, sweeps
from harness.base import bootstrap
from harness.base.errors import UserError, answered, guarded
from harness.base.home import ROOT
from harness.config import typed
from harness.sweeps import engine
from harness.sweeps.record import Record, described, tell
from harness.use import info, run

MULTIRUN = ("-m", "--multirun")
ONCE = ("rerun", "plan", "sweep.fail_fast")  # keys that say nothing about what a run is


def main() -> int:
    """Run what the command line asks for.

    Returns 0 when all is well, 1 for bad input or bad luck, 2 for a wrong command line, 130 when interrupted.
    """
    traceback_wanted = os.environ.setdefault("HYDRA_FULL_ERROR", "0") == "1"
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra would print its own words and exit; we want the exception
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a scheduler's stop is as clean as Ctrl-C
    if "--info" in sys.argv[1:]:  # Hydra's own is still there as --info=all
        return guarded(info.show)
    words = sorted(sys.argv[1:], key=lambda word: word not in MULTIRUN)  # Hydra takes it before all words or after
    sweep = bool(words) and words[0] in MULTIRUN
    ranges = config.ranges(words, sweep) if bootstrap.searches(words) else {}
    words = [word for word in words if word.partition("=")[0] not in ranges]
    if sweep:
        engine.hand_on()
    sys.argv[1:] = [config.quoted(word, sweep) for word in words]
    if sweep and bootstrap.searches(words):
        sys.argv.append("hydra/sweeper=basic")  # searches have studies; a sweep's record is of runs

    def chosen() -> None:
        for word in words:
            group, equals, choice = word.partition("=")
            if equals and choice in ("null", "") and (config.CONF / group).is_dir():
                raise UserError(f"{word}: choose one of {', '.join(config.choices(group))}.", code=2)

    @hydra.main(version_base="1.3", config_path=str(config.CONF), config_name="config")
    def task(composed: DictConfig) -> dict[str, Any]:
        row: dict[str, Any] = {}

        def one_run() -> int:
            row.update(asked(composed, words, sweep, ranges))
            return row["code"]

        code = sweeps.one(composed.sweep.fail_fast, one_run) if sweep else answered(one_run)
        sweeps.codes.append(code)
        return {**row, "code": code}

    def composed_and_run() -> int:
        typed.check(words)
        chosen()
        try:
            config.check_signed(words)
            task()
        except (HydraException, OmegaConfBaseException) as error:
            if traceback_wanted:
                raise
            raise UserError(config.explain(error, words), code=2) from None
        except ValueError as error:
            if not str(error).startswith("Only one of --run, --multirun"):  # the one way Hydra says it
                raise
            raise UserError(str(error), code=2) from None
        return max(sweeps.codes, default=0)

    return guarded(composed_and_run)


def asked(composed: DictConfig, words: list[str], sweep: bool, ranges: dict[str, str]) -> dict[str, Any]:
    """Do the run, the plan or the search that the configuration asks for; return the row, if any, and the exit code."""
    settings = config.checked(composed)
    read = list(HydraConfig.get().overrides.task)  # `words` as Hydra reads them, of one run of a sweep
    typed = read if sweep else words
    if settings.hparams_search:
        if not bootstrap.searches(words):
            raise UserError("an experiment cannot choose hparams_search: give it on the command line.", code=2)
        if settings.plan:
            raise UserError("plan=true: what a search will try is not known before; leave one of the two out.", code=2)
        from harness.sweeps.search import search

        typed, read = ([word for word in some if not word.startswith("hparams_search")] for some in (typed, read))
        return {"code": search(settings, read, ranges, lambda more: command([*typed, *more]))}
    if settings.plan:
        run_of_it = described(lasting(words), composed, settings.results)
        return {"code": sweeps.plan(Record(words, [run_of_it]), settings.results)}
    if sweep:
        tell(settings, read, Path(HydraConfig.get().sweep.dir).absolute())
    row = run.run(settings, command(typed))
    return {**row, "code": 0 if row["status"] == "finished" else 1}


def command(words: list[str]) -> str:
    """Return the command that has these words."""
    script = os.path.relpath(ROOT / "train.py") if Path.cwd().is_relative_to(ROOT) else str(ROOT / "train.py")
    return shlex.join(["python", script, *lasting(words)])


def lasting(words: list[str]) -> list[str]:
    """Return the words that say what a run is."""
    return [word for word in words if word.partition("=")[0] not in ONCE]
