"""Checkpoints of a run: written by its library, whole once they are sealed, the last two kept.

One is a folder `checkpoint-STEP`, sealed by `checkpoint.json` (`seals.py`). What a kill or a full disk cut short has no
seal, and what a disk spoiled does not fit it: the one before is taken instead. What somebody else wrote is not loaded
either: `foreign-STEP` keeps it, until the run has finished.
Standard library only: this runs in every library's environment.
"""

import contextlib
import errno
import os
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from recipes.contract import seals

KEPT = 2
PATIENCE = 60.0  # seconds until it is told what is waited for
LONGEST = 1800.0  # seconds that one process waits for another, as PyTorch's do by default on processors


class Checkpoints:
    """The checkpoints in `folder`, one every so many `steps` or `seconds` (neither: none are made).

    `event` reports what becomes of them. A recipe asks `newest` where to go on, and then after each step `due`.
    Of several processes (`rank` is one of `ranks` on this machine) each writes its part, into one folder. What all of
    them must do alike, on all machines, which may share no folder, they settle by `gather`: it takes what this process
    says and returns what each of them has said, those of the first machine first (None: there is one process).
    """

    def __init__(
        self,
        folder: Path,
        event: Callable[..., None],
        steps: int | None = None,
        seconds: float | None = None,
        rank: int = 0,
        ranks: int = 1,
        gather: Callable[[Any], list[Any]] | None = None,
    ):
        self.folder, self.event, self.steps, self.seconds = folder, event, steps, seconds
        self.rank, self.ranks, self.gather = rank, ranks, gather
        self.began = self.last = time.monotonic()
        self.met, self.meeting = (0, self.began), 0  # the step at which all settled what to do, and when; the next one

    def newest(self) -> Path | None:
        """Return the newest checkpoint that is whole on all machines, and begin to count the time of training.

        Those that are not whole, and newer ones, are removed. Of the processes on a machine the first one looks.
        """
        own = None if self.rank else self.sealed()
        machines = [steps for steps in self.gather(own) if steps is not None] if self.gather else [own or []]
        step = max(set.intersection(*map(set, machines)), default=None)
        if own:
            self.leave(step, own, machines)
        self.began = self.last = time.monotonic()
        self.met, self.meeting = (step or 0, self.began), 0
        if step is None:
            if any(machines):
                lists = [", ".join(map(str, steps)) or "none" for steps in machines]
                each = "; ".join(f"machine {number}: {steps}" for number, steps in enumerate(lists))
                self.event("anew", reason=f"no checkpoint is whole on all machines ({each})")
            return None
        folder = self.folder / f"checkpoint-{step}"
        if not self.rank:
            seconds = seals.seconds_of(folder)
            self.began -= seconds
            self.event("resumed", step=step, seconds=seconds)
        return folder

    def sealed(self) -> list[int]:
        """Return the steps of the checkpoints that are whole (where one is enough, the newest).

        What is not whole is removed; what this run has not written is kept aside, and taken again if it proves to be.
        """
        steps: list[int] = []
        for folder in reversed(self.made("checkpoint", "foreign")):
            if steps and not self.gather:
                break
            step = step_of(folder)
            own, aside = self.folder / f"checkpoint-{step}", self.folder / f"foreign-{step}"
            try:
                problem = seals.problem(folder)
            except seals.ForeignError as error:
                self.event("checkpoint_refused", step=step, reason=f"{error}. It is kept as {aside}")
                if folder != aside:
                    remove(aside)
                    folder.rename(aside)
                continue
            if problem:
                if not steps:  # older ones may have been half removed
                    self.event("checkpoint_refused", step=step, reason=problem)
                remove(folder)
            elif step not in steps:
                if folder != own:
                    remove(own)
                    folder.rename(own)
                steps.insert(0, step)
        return steps

    def made(self, *kinds: str) -> list[Path]:
        """Return the folders KIND-STEP that are there, the newest last."""
        named = rf"({'|'.join(kinds)})-[0-9]+"
        return sorted((path for path in self.folder.glob("*-*") if re.fullmatch(named, path.name)), key=step_of)

    def leave(self, step: int | None, own: list[int], machines: list[list[int]]) -> None:
        """Remove those that are newer than the one after `step`, which another machine has not."""
        for newer in [one for one in own if step is None or one > step]:
            if step is not None:
                without = [str(number) for number, steps in enumerate(machines) if newer not in steps]
                self.event(
                    "checkpoint_refused", step=newer, reason=f"machine {', '.join(without)} has none of that step"
                )
            remove(self.folder / f"checkpoint-{newer}")

    def due(self, step: int) -> bool:
        """Tell whether a checkpoint is to be made after optimiser step `step`, counted from 1."""
        if self.steps:
            return step % self.steps == 0
        if not self.seconds:
            return False
        left = self.last + self.seconds - time.monotonic()
        return self.settled(step, left) if self.gather else left <= 0

    def settled(self, step: int, left: float) -> bool:
        """Go by the clock of the first process, which has so many seconds `left`.

        Processes meet rarely, as it slows them: half as many steps on as there will be until then, at the pace since
        they last met, but at most twice as many as since then, for a pace may change.
        """
        if step < self.meeting or not self.gather:
            return False
        before, then = self.met
        steps, now = max(1, step - before), time.monotonic()
        ahead = max(1, min(2 * steps, int(left * steps / max(now - then, 1e-9) / 2))) if left > 0 else 0
        ahead = self.gather(ahead)[0]
        self.met, self.meeting = (step, now), step + max(1, ahead)
        return ahead == 0

    @contextlib.contextmanager
    def writing(self, step: int) -> Iterator[Path]:
        """Yield a new empty folder for the library to write into; it is sealed when the block ends well."""
        folder = self.folder / f"checkpoint-{step}"
        if self.rank:
            self.wait_for(folder, f"the first process to begin the checkpoint of step {step}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
        try:
            yield folder
            self.seal(folder)
        except Exception as error:
            full = shutil.disk_usage(folder.parent).free < 1 << 20
            shutil.rmtree(folder, ignore_errors=True)  # another process may be at it too
            if full:  # libraries have words of their own for it, or none
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder)) from error
            raise

    def seal(self, folder: Path) -> None:
        """Declare the checkpoint in `folder` whole, and remove those that are older than the one before it.

        Of several processes on a machine the first does it, when all have come here.
        """
        if self.rank:
            (folder / f"rank{self.rank}").touch()
            return
        for rank in range(1, self.ranks):
            what = f"process {rank} of this machine to write its part of the checkpoint of step {step_of(folder)}"
            self.wait_for(folder / f"rank{rank}", what)
        seals.seal(folder, time.monotonic() - self.began)
        self.last = time.monotonic()
        self.event("checkpoint", step=step_of(folder))
        for old in self.made("checkpoint")[:-KEPT]:
            remove(old)

    def wait_for(self, path: Path, what: str) -> None:
        """Wait until another process has made `path`, at most `LONGEST`; TimeoutError says what did not come."""
        began = time.monotonic()
        with telling(self.event, what):
            while not path.exists():
                if time.monotonic() - began > LONGEST:
                    raise TimeoutError(f"waited {LONGEST / 60:g} minutes for {what}: there is no {path}")
                time.sleep(0.01)


@contextlib.contextmanager
def telling(event: Callable[..., None], what: str) -> Iterator[None]:
    """Report what is waited for, where the block takes longer than `PATIENCE`."""
    timer = threading.Timer(PATIENCE, event, ["waiting"], {"what": what, "seconds": PATIENCE})
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def remove(path: Path) -> None:
    """Remove a checkpoint, its seal first, for what is half removed is not whole; or what stands in its place."""
    if path.is_dir() and not path.is_symlink():
        (path / seals.SEAL).unlink(missing_ok=True)
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def step_of(folder: Path) -> int:
    """Return the step that a checkpoint was made after."""
    return int(folder.name.rpartition("-")[2])
