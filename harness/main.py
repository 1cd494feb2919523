"""The command line of train.py: compose the configuration, run it, and answer in words and an exit code."""

import functools
import os
import shlex
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

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
    line = Line.read(sys.argv[1:])
    sys.argv[1:] = line.for_hydra()
    if line.sweep:
        engine.hand_on()
    return guarded(lambda: answer(line, traceback_wanted))


@dataclass(frozen=True)
class Line:
    """A command line: its words, but for the ranges of a search, and whether it asks for a sweep."""

    words: tuple[str, ...]
    sweep: bool
    ranges: Mapping[str, str]

    @classmethod
    def read(cls, given: Sequence[str]) -> "Line":
        words = sorted(given, key=lambda word: word not in MULTIRUN)  # Hydra takes it before all words or after
        sweep = bool(words) and words[0] in MULTIRUN
        ranges = config.ranges(words, sweep) if bootstrap.searches(words) else {}
        return cls(tuple(word for word in words if word.partition("=")[0] not in ranges), sweep, ranges)

    def for_hydra(self) -> list[str]:
        """Return the words as Hydra can read them."""
        words = [config.quoted(word, self.sweep) for word in self.words]
        if self.sweep and bootstrap.searches(self.words):
            words.append("hydra/sweeper=basic")  # searches have studies; a sweep's record is of runs
        return words


def answer(line: Line, traceback_wanted: bool) -> int:
    """Check the command line and do what it asks for; return the exit code. What is wrong with it is told in words."""
    words = list(line.words)
    typed.check(words)
    check_chosen(words)
    try:
        config.check_signed(words)
        composing(line)()
    except (HydraException, OmegaConfBaseException) as error:
        if traceback_wanted:
            raise
        raise UserError(config.explain(error, words), code=2) from None
    except ValueError as error:
        if not str(error).startswith("Only one of --run, --multirun"):  # the one way Hydra says it
            raise
        raise UserError(str(error), code=2) from None
    return max(sweeps.codes, default=0)


def check_chosen(words: Sequence[str]) -> None:
    """Refuse a choice of nothing where there must be one."""
    for word in words:
        group, equals, choice = word.partition("=")
        if equals and choice in ("null", "") and (config.CONF / group).is_dir():
            raise UserError(f"{word}: choose one of {', '.join(config.choices(group))}.", code=2)


def composing(line: Line) -> Callable[[], None]:
    """Return what has Hydra compose the configuration, or those of a sweep, and do each."""

    @hydra.main(version_base="1.3", config_path=str(config.CONF), config_name="config")
    def task(composed: DictConfig) -> int:
        action = functools.partial(asked, composed, line)
        code = sweeps.do_one(composed.sweep.fail_fast, action) if line.sweep else answered(action)
        sweeps.codes.append(code)
        return code

    return task


def asked(composed: DictConfig, line: Line) -> int:
    """Do the run, the plan or the search that the configuration asks for; return the exit code."""
    settings = config.checked(composed)
    read = list(HydraConfig.get().overrides.task)  # the words as Hydra reads them, of one run of a sweep
    words = read if line.sweep else list(line.words)
    if settings.hparams_search:
        return searched(settings, words, read, line)
    if settings.plan:
        run_of_it = described(lasting(line.words), composed, settings.results)
        return sweeps.plan(Record(list(line.words), [run_of_it]), settings.results)
    if line.sweep:
        tell(settings, read, Path(HydraConfig.get().sweep.dir).absolute())
    return 0 if run.run(settings, command(words)).finished else 1


def searched(settings: config.Settings, words: list[str], read: list[str], line: Line) -> int:
    """Do the search, whose trials are made by `words`, or as Hydra has `read` them; return the exit code."""
    if not bootstrap.searches(line.words):
        raise UserError("an experiment cannot choose hparams_search: give it on the command line.", code=2)
    if settings.plan:
        raise UserError("plan=true: what a search will try is not known before; leave one of the two out.", code=2)
    from harness.sweeps.search import search  # Optuna is in the environment of searches alone

    words, read = ([word for word in some if not word.startswith("hparams_search")] for some in (words, read))
    return search(settings, read, line.ranges, lambda more: command([*words, *more]))


def command(words: Sequence[str]) -> str:
    """Return the command that has these words."""
    script = os.path.relpath(ROOT / "train.py") if Path.cwd().is_relative_to(ROOT) else str(ROOT / "train.py")
    return shlex.join(["python", script, *lasting(words)])


def lasting(words: Sequence[str]) -> list[str]:
    """Return the words that say what a run is."""
    return [word for word in words if word.partition("=")[0] not in ONCE]
