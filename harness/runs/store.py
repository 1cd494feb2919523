"""Where results are: a directory a run, derived from what the run is, never from the clock.

A run works in a folder beside its own, `.NAME.working`, which takes its place when the run has ended. So whatever
stands at a run's directory is whole, and a repetition that fails leaves the finished result it was to replace.
"""

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.base.home import held, locked
from harness.runs.row import Row
from recipes.contract.files import whole


@contextlib.contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Hold the run, so that of two that are started at once one works and the other waits for its result."""
    with locked(_beside(folder, "lock"), f"this run ({folder.name})"):
        _recover(folder)
        yield


def in_work(folder: Path) -> bool:
    """Tell whether a process holds the run."""
    return held(_beside(folder, "lock"))


def in_progress(folder: Path) -> Path:
    """Return the folder that the run works in, or broke off in."""
    return _beside(folder, "working")


def latest(folder: Path) -> tuple[Row, float] | None:
    """Return the row of the last attempt that ended, and when it did (seconds since the epoch)."""
    for path in (in_progress(folder) / "result.json", folder / "result.json"):  # the first: a repetition that failed
        with contextlib.suppress(FileNotFoundError, ValueError):
            return Row.read(path), path.stat().st_mtime
    return None


def finished(folder: Path) -> Row | None:
    """Return the result of a run that ended well, or None where there is none."""
    try:
        row = Row.read(folder / "result.json")
    except (FileNotFoundError, ValueError):
        return None
    return row if row.finished else None


KEPT = ("checkpoints", "events.jsonl", "log.txt", "log.csv", "tensorboard")  # of an attempt that is gone on with


def working(folder: Path, anew: bool = False) -> Path:
    """Return the folder to work in: empty, but for what an earlier attempt left to go on from (`anew`: nothing)."""
    work = _beside(folder, "working")
    if not work.exists() and not finished(folder) and _checkpoints(folder):
        folder.rename(work)
    if not anew and _checkpoints(work):
        for path in work.iterdir():
            if path.name not in KEPT:
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        return work
    if work.exists():
        shutil.rmtree(work)
    work.mkdir(parents=True)
    return work


def _checkpoints(work: Path) -> list[Path]:
    """Return the checkpoints in a folder that were written to their end."""
    return list(work.glob("checkpoints/*/checkpoint.json"))


def run_of(work: Path) -> Path:
    """Return the folder of the run that works in a folder."""
    return work.with_name(name_of(work))


def name_of(work: Path) -> str:
    """Return the name of the run that works in a folder."""
    return work.name.removeprefix(".").removesuffix(".working")


def settle(folder: Path, row: Row) -> Path:
    """Write `result.json` and move the working folder into place; return where it is now.

    A finished result is replaced by another finished one only, and needs its checkpoints no more. A run that did not
    finish leaves no model and no half checkpoint: they mislead, and may be what fills the disk that the row needs.
    """
    work = _beside(folder, "working")
    if row.finished:
        shutil.rmtree(work / "checkpoints", ignore_errors=True)
    else:
        shutil.rmtree(work / "model", ignore_errors=True)
        whole = [seal.parent for seal in _checkpoints(work)]
        for folder_of_one in set(work.glob("checkpoints/*")) - set(whole):
            shutil.rmtree(folder_of_one)
    write_json(work / "result.json", {**row})
    if folder.exists():
        if finished(folder) and not row.finished:
            return work
        folder.rename(_beside(folder, "replaced"))
    work.rename(folder)
    shutil.rmtree(_beside(folder, "replaced"), ignore_errors=True)
    return folder


def write_json(path: Path, values: Any) -> None:
    """Write a JSON file whole or not at all, also where others write it at once."""
    with whole(path) as handle:
        json.dump(values, handle, indent=1, ensure_ascii=False)
        handle.write("\n")


def _beside(folder: Path, what: str) -> Path:
    return folder.parent / f".{folder.name}.{what}"


def _recover(folder: Path) -> None:
    """Bring back a result whose replacement was cut off between two renames, or clear what it left."""
    replaced = _beside(folder, "replaced")
    if replaced.exists():
        if folder.exists():
            shutil.rmtree(replaced)
        else:
            replaced.rename(folder)
