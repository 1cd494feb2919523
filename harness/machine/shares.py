"""A run's share of this machine: cores and GPUs of its own, so that several at once do not get in each other's way.

Each core and each GPU has a lock file for all sweeps of a user on this machine; the system frees the locks of a
process that dies. A share binds the process, and so the worker that it starts, to its cores.
"""

import contextlib
import fcntl
import math
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from harness.base.home import private
from harness.machine import host

POLL = 0.2  # seconds between two looks for a free share


@contextlib.contextmanager
def hold(cores: int) -> Iterator[None]:
    """Hold `cores` cores, and their part of the GPUs, as soon as so many are free; the worker sees no others."""
    host.describe()  # a row names the whole machine
    mine = host.cores()
    at_once = max(1, len(mine) // cores)
    devices = host.gpu_ids()
    wanted = {"core": [str(core) for core in mine], "gpu": spread(devices, at_once)}
    counts = {"core": min(cores, len(mine)), "gpu": min(1, len(devices)) * max(1, len(devices) // at_once)}
    with contextlib.ExitStack() as held:
        while not (got := take(wanted, counts, held)):
            time.sleep(POLL)
        visible = ",".join(unit.partition("@")[0] for unit in got["gpu"])
        with limited([int(core) for core in got["core"]], visible if devices else None):
            yield


def spread(devices: Sequence[str], at_once: int) -> list[str]:
    """Return what can be held of the GPUs: each once, or DEVICE@NUMBER where more runs than GPUs are to share them."""
    places = math.ceil(at_once / len(devices)) if devices else 0
    return [f"{device}@{place}" for place in range(places) for device in devices]


def take(
    wanted: dict[str, list[str]], counts: dict[str, int], held: contextlib.ExitStack
) -> dict[str, list[str]] | None:
    """Lock as many of each kind as `counts` says until `held` closes; None, and nothing locked, if fewer are free."""
    folder = private(Path(tempfile.gettempdir()) / f"finetune-recipes-{os.getuid()}")
    got: dict[str, list[str]] = {}
    with contextlib.ExitStack() as locks, open(folder / "all", "a+") as one_by_one:
        fcntl.flock(one_by_one, fcntl.LOCK_EX)
        for kind, names in wanted.items():
            got[kind] = []
            for name in names:
                if len(got[kind]) == counts[kind]:
                    break
                if lock(locks.enter_context(open(folder / f"{kind}-{name.replace('/', '-')}", "a+"))):
                    got[kind].append(name)
            if len(got[kind]) < counts[kind]:
                return None
        held.push(locks.pop_all())
    return got


def lock(handle: IO[str]) -> bool:
    """Lock a file if it is free."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def limited(cores: Sequence[int], visible: str | None) -> Iterator[None]:
    """Bind this process and what it starts to some cores and GPUs."""
    before, variables = host.cores(), dict(os.environ)
    host.bind(cores)
    if visible is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = visible
    try:
        yield
    finally:
        host.bind(before)
        os.environ.clear()
        os.environ.update(variables)
