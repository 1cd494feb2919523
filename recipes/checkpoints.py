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
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from recipes import seals

KEPT = 2


class Checkpoints:
    """The checkpoints in `folder`, one every so many `steps` or `seconds` (neither: none are made).

    `event` reports what becomes of them. A recipe asks `newest` where to go on, and then after each step `due`.
    Of several processes (`rank` is one of `ranks`) each writes its part, into one folder.
    """

    def __init__(
        self,
        folder: Path,
        event: Callable[..., None],
        steps: int | None = None,
        seconds: float | None = None,
        rank: int = 0,
        ranks: int = 1,
    ):
        self.folder, self.event, self.steps, self.seconds = folder, event, steps, seconds
        self.rank, self.ranks = rank, ranks
        self.began = self.last = time.monotonic()

    def newest(self) -> Path | None:
        """Return the newest checkpoint that is whole, and begin to count the time of training; others are removed.

        One that this run has not written is kept aside.
        """
        self.began = self.last = time.monotonic()
        for folder in reversed(self.made("checkpoint", "foreign")):
            try:
                problem = seals.problem(folder)
            except seals.ForeignError as error:
                aside = folder.with_name(f"foreign-{step_of(folder)}")
                self.event("checkpoint_refused", step=step_of(folder), reason=f"{error}. It is kept as {aside}")
                if not self.rank and folder != aside:
                    remove(aside)
                    folder.rename(aside)
                continue
            if not problem:
                seconds = seals.seconds_of(folder)
                self.began -= seconds
                self.event("resumed", step=step_of(folder), seconds=seconds)
                return folder
            self.event("checkpoint_refused", step=step_of(folder), reason=problem)
            if not self.rank:
                remove(folder)
        return None

    def made(self, *kinds: str) -> list[Path]:
        """Return the folders KIND-STEP that are there, the newest last."""
        named = rf"({'|'.join(kinds)})-[0-9]+"
        return sorted((path for path in self.folder.glob("*-*") if re.fullmatch(named, path.name)), key=step_of)

    def due(self, step: int) -> bool:
        """Tell whether a checkpoint is to be made after optimiser step `step`, counted from 1."""
        if self.steps:
            return step % self.steps == 0
        late = bool(self.seconds) and time.monotonic() - self.last >= self.seconds
        return late if self.ranks == 1 else self.agreed(step, late)

    def agreed(self, step: int, late: bool) -> bool:
        """Go by the clock of the first process: it names the next step in a file, which no other has passed by then."""
        named = self.folder.with_name("checkpoint.due")
        due = named.exists() and named.read_text(encoding="utf-8") == str(step)
        if late and not due and not self.rank:
            part = named.with_suffix(".part")
            part.write_text(str(step + 1), encoding="utf-8")
            part.replace(named)
        return due

    @contextlib.contextmanager
    def writing(self, step: int) -> Iterator[Path]:
        """Yield a new empty folder for the library to write into; it is sealed when the block ends well."""
        folder = self.folder / f"checkpoint-{step}"
        if self.rank:
            wait_for(folder)
        else:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
        try:
            yield folder
            self.seal(folder)
        except Exception as error:
            full = shutil.disk_usage(folder).free < 1 << 20
            shutil.rmtree(folder)
            if full:  # libraries have words of their own for it, or none
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder)) from error
            raise

    def seal(self, folder: Path) -> None:
        """Declare the checkpoint in `folder` whole, and remove those that are older than the one before it.

        Of several processes the first does it, when all have come here.
        """
        if self.rank:
            (folder / f"rank{self.rank}").touch()
            return
        for rank in range(1, self.ranks):
            wait_for(folder / f"rank{rank}")
        seals.seal(folder, time.monotonic() - self.began)
        self.last = time.monotonic()
        self.event("checkpoint", step=step_of(folder))
        for old in self.made("checkpoint")[:-KEPT]:
            (old / seals.SEAL).unlink(missing_ok=True)  # first: what is half removed is not whole
            remove(old)


def wait_for(path: Path) -> None:
    """Wait until another process has made `path`; when one dies, all are ended."""
    while not path.exists():
        time.sleep(0.01)


def step_of(folder: Path) -> int:
    """Return the step that a checkpoint was made after."""
    return int(folder.name.rpartition("-")[2])


def remove(path: Path) -> None:
    """Remove a checkpoint, or what stands in its place."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
