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

from harness import config, info, run
from harness.errors import UserError, answered, guarded
from harness.home import ROOT


def main() -> int:
    """Run what the command line asks for.

    Returns 0 when all is well, 1 for bad input or bad luck, 2 for a wrong command line, 130 when interrupted.
    """
    traceback_wanted = os.environ.setdefault("HYDRA_FULL_ERROR", "0") == "1"
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra would print its own words and exit; we want the exception
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a scheduler's stop is as clean as Ctrl-C
    words, codes = sys.argv[1:], []
    if "--info" in words:  # Hydra's own is still there as --info=all
        return guarded(info.show)
    sweep = "-m" in words or "--multirun" in words
    sys.argv[1:] = [config.quoted(word, sweep) for word in words]

    def chosen() -> None:
        for word in words:
            group, equals, choice = word.partition("=")
            if group != "experiment" and equals and choice in ("null", "") and (config.CONF / group).is_dir():
                raise UserError(f"{word}: choose one of {', '.join(config.choices(group))}.", code=2)

    @hydra.main(version_base="1.3", config_path=str(config.CONF), config_name="config")
    def task(composed: DictConfig) -> None:
        codes.append(answered(lambda: done(run.run(config.plain(composed), command(words, sweep)))))

    def composed_and_run() -> int:
        chosen()
        try:
            task()
        except (HydraException, OmegaConfBaseException) as error:
            if traceback_wanted:
                raise
            raise UserError(config.explain(error, words), code=2) from None
        except ValueError as error:
            if not str(error).startswith("Only one of --run, --multirun"):  # the one way Hydra says it
                raise
            raise UserError(str(error), code=2) from None
        return max(codes, default=0)

    return guarded(composed_and_run)


def done(row: dict[str, Any]) -> int:
    """Return the exit code of a run that has ended."""
    return 0 if row["status"] == "finished" else 1


def command(words: list[str], sweep: bool) -> str:
    """Return the command that repeats this run, one of the runs of a sweep too."""
    if sweep:
        words = list(HydraConfig.get().overrides.task)
    script = os.path.relpath(ROOT / "train.py") if Path.cwd().is_relative_to(ROOT) else str(ROOT / "train.py")
    return shlex.join(["python", script, *(word for word in words if not word.startswith("rerun="))])
