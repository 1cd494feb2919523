"""The engine of a sweep, Hydra's launcher: what it may use of the machine, and how its processes do their runs.

Hydra's own does the runs in our process, one after the other; those of joblib, Ray and submitit have other processes,
which write what they say to the sweep's `log.txt`. We tell from the files what becomes of their runs.
"""

import contextlib
import functools
import logging
import os
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.base.home import ROOT, home
from harness.machine import host, shares

PARENT = "FINETUNE_RECIPES_PARENT"  # the process id of the one whose sweep it is


def kind(launcher: Mapping[str, Any]) -> str:
    """Return the name of the engine: Basic, Joblib, Ray, Local or Slurm."""
    return str(launcher["_target_"]).rpartition(".")[2].removesuffix("Launcher")


def cores(launcher: Mapping[str, Any]) -> int | None:
    """Return how many cores of this machine one run may take; None: all that the engine lets it see."""
    everything = host.processors()
    chosen: int | float | None = {
        "Joblib": lambda: everything // jobs(launcher),
        "Local": lambda: launcher["cpus_per_task"],
        "Ray": lambda: launcher["ray"]["remote"].get("num_cpus", 1),
    }.get(kind(launcher), lambda: None)()
    return None if chosen is None else min(everything, max(1, int(chosen)))


def jobs(launcher: Mapping[str, Any]) -> int:
    """Return how many jobs joblib runs at once: -1 stands for as many as there are cores, -2 for one less, …"""
    number = int(launcher["n_jobs"])
    return number if number > 0 else max(1, host.processors() + 1 + number)


def at_once(launcher: Mapping[str, Any]) -> int | None:
    """Return how many runs are done at once; None where others than this machine's cores decide it."""
    if kind(launcher) in ("Ray", "Slurm"):
        return None
    fit = host.processors() // (cores(launcher) or host.processors())
    return min(fit, jobs(launcher)) if kind(launcher) == "Joblib" else fit


def hand_on() -> None:
    """Put into the environment what the processes of an engine need of ours; conf/hydra/launcher/ray.yaml reads it."""
    os.environ["FINETUNE_RECIPES_HOME"] = str(home())
    os.environ[PARENT] = str(os.getpid())
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))


@contextlib.contextmanager
def joined(launcher: Mapping[str, Any], sweep: Path, cwd: str) -> Iterator[None]:
    """Do a run of a sweep in this process: quietly, on its share of the machine, if it is a process of the engine."""
    if kind(launcher) == "Basic":
        yield
        return
    os.chdir(cwd)
    if kind(launcher) == "Joblib":
        end_with_parent()
    with open(sweep / "log.txt", "a", encoding="utf-8", buffering=1) as log, contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.redirect_stdout(log))
        stack.enter_context(contextlib.redirect_stderr(log))
        if number := cores(launcher):
            stack.enter_context(shares.hold(number))
        yield


@contextlib.contextmanager
def logged(launcher: Mapping[str, Any], log: Path) -> Iterator[None]:
    """Keep what Ray has to say in this process in a sweep's log, while the block runs."""
    if kind(launcher) != "Ray":
        yield
        return
    import ray  # noqa: F401  # with it its logger gets a handler, for the screen

    logger, file = logging.getLogger("ray"), logging.FileHandler(log, encoding="utf-8")
    before, logger.handlers[:] = logger.handlers[:], [file]
    try:
        yield
    finally:
        logger.handlers[:] = before
        file.close()


@functools.cache
def end_with_parent() -> None:
    """See to it that this process ends at once when its parent has gone, or went before; the worker goes with it."""
    parent = int(os.environ[PARENT])
    if os.getpid() == parent:  # one job at once is done here
        return

    def wait() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
