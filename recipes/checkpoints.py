"""Checkpoints of a run: written by its library, whole once they are sealed, the last two kept.

One is a folder `checkpoint-STEP`, sealed by `checkpoint.json`: the size and CRC-32 of each file in it. What a kill or a
full disk cut short has no seal, and what a disk spoiled does not fit it: the one before is taken instead.
Standard library only: this runs in every library's environment.
"""

import contextlib
import errno
import json
import os
import shutil
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from recipes.files import whole

KEPT = 2
SEAL = "checkpoint.json"
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
            seconds = json.loads((folder / SEAL).read_text(encoding="utf-8"))["seconds"]
            self.began -= seconds
            self.event("resumed", step=step, seconds=seconds)
        return folder

    def sealed(self) -> list[int]:
        """Return the steps of the checkpoints that are whole (where one is enough, the newest); remove what is not."""
        steps: list[int] = []
        for folder in sorted(self.folder.glob("checkpoint-*"), key=step_of, reverse=True):
            if steps and not self.gather:
                break
            if problem := spoiled(folder):
                if not steps:  # older ones may have been half removed
                    self.event("checkpoint_refused", step=step_of(folder), reason=problem)
                shutil.rmtree(folder)
            else:
                steps.insert(0, step_of(folder))
        return steps

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
        with whole(folder / SEAL) as handle:
            json.dump({"seconds": time.monotonic() - self.began, "files": contents(folder)}, handle)
        self.last = time.monotonic()
        self.event("checkpoint", step=step_of(folder))
        for old in sorted(self.folder.glob("checkpoint-*"), key=step_of)[:-KEPT]:
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


def remove(folder: Path) -> None:
    """Remove a checkpoint: its seal first, for what is half removed is not whole."""
    (folder / SEAL).unlink(missing_ok=True)
    shutil.rmtree(folder)


def step_of(folder: Path) -> int:
    """Return the step that a checkpoint was made after."""
    return int(folder.name.rpartition("-")[2])


def contents(folder: Path) -> dict[str, Any]:
    """Return size in bytes and CRC-32 of each file in a checkpoint, by its path there."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and SEAL not in path.name]
    return {str(path.relative_to(folder)): [path.stat().st_size, crc32(path)] for path in files}


def crc32(path: Path) -> int:
    checksum = 0
    with open(path, "rb") as handle:
        while block := handle.read(1 << 20):
            checksum = zlib.crc32(block, checksum)
    return checksum


def spoiled(folder: Path) -> str | None:
    """Say what is wrong with a checkpoint; None if it is whole."""
    try:
        files = json.loads((folder / SEAL).read_text(encoding="utf-8"))["files"]
        found = contents(folder)
    except FileNotFoundError:
        return "it was not written to its end"
    except (ValueError, KeyError):
        return f"{SEAL} is not what was written"
    wrong = [name for name in files if found.get(name) != files[name]]
    return f"{wrong[0]} is not what was written" if wrong else None
