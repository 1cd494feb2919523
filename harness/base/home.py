"""The folder that keeps what is made once (environments, weights, data, tokens), and how it is made whole.

Standard library only: the bootstrap uses it on a bare Python.
"""

import contextlib
import fcntl
import os
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from harness.base import progress
from harness.base.errors import UserError
from recipes.contract.seals import sha256

__all__ = ["ROOT", "build_beside", "held", "home", "key", "locked", "new_log", "private", "sha256"]

ROOT = Path(__file__).resolve().parent.parent.parent


def home() -> Path:
    """Return FINETUNE_RECIPES_HOME, or `finetune-recipes` in the user's cache folder."""
    chosen = os.environ.get("FINETUNE_RECIPES_HOME")
    if chosen:
        return Path(chosen).expanduser().resolve()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "finetune-recipes"


@contextlib.contextmanager
def locked(path: Path, what: str) -> Iterator[None]:
    """Hold an exclusive lock on `path` (released by the system if this process dies); say so when waiting.

    Who holds it may remove the file, with the folder it lies in: those that waited take a new one.
    """
    while not (handle := _lock(path, what)):
        pass
    with handle:
        yield


def _lock(path: Path, what: str) -> IO[str] | None:
    """Lock `path` for as long as it is open; None if it was removed before we had it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle = open(path, "a+")  # noqa: SIM115
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        progress.say(f"waiting: another process is at {what}")
        fcntl.flock(handle, fcntl.LOCK_EX)
    with contextlib.suppress(FileNotFoundError):
        if os.path.samestat(os.stat(path), os.fstat(handle.fileno())):
            return handle
    handle.close()
    return None


def held(path: Path) -> bool:
    """Tell whether a process holds the lock on `path`."""
    try:
        with open(path) as handle:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        pass
    return False


@contextlib.contextmanager
def build_beside(destination: Path, what: str) -> Iterator[Path | None]:
    """Yield an empty folder that becomes `destination` when the block ends well, or None if that exists.

    Only one process builds at a time. An interrupted build leaves nothing at `destination`; its remains are
    cleared by the next.
    """
    if destination.exists():
        yield None
        return
    with locked(destination.parent / f".{destination.name}.lock", what):
        if destination.exists():
            yield None
            return
        for remains in destination.parent.glob(f".{destination.name}.building-*"):
            shutil.rmtree(remains, ignore_errors=True)
        folder = destination.parent / f".{destination.name}.building-{secrets.token_hex(4)}"
        folder.mkdir()
        try:
            yield folder
            folder.rename(destination)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def new_log(name: str) -> Path:
    """Return an empty file for the output of a tool."""
    log = home() / "logs" / f"{name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("", encoding="utf-8")
    return log


def key() -> Path:
    """Return the file of the user's secret key, which checkpoints are signed with, made if it is not there.

    Each user of a shared home has one. Raises UserError where somebody else has made it.
    """
    path = home() / f"key-{os.getuid()}"
    with locked(path.with_name(f".{path.name}.lock"), "the key"):
        if not os.path.lexists(path):
            part = path.with_name(f".{path.name}.part")
            part.unlink(missing_ok=True)
            with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as handle:
                handle.write(secrets.token_bytes(32))
            part.rename(path)
    keep_to_oneself(path, stat.S_ISREG, 0o600)
    return path


def private(folder: Path) -> Path:
    """Return a folder that the user alone may write to, made if it is not there.

    Raises UserError where somebody else has made it, as anybody can where all may write.
    """
    with contextlib.suppress(FileExistsError):
        folder.mkdir(0o700)
    keep_to_oneself(folder, stat.S_ISDIR, 0o700)
    return folder


def keep_to_oneself(path: Path, is_kind: Callable[[int], bool], mode: int) -> None:
    """Give `path` the mode; raise UserError unless it is of its kind, no link, and belongs to the user.

    Or to the owner of the folder it is in, who may do anything there: so all do where a file system knows no owners.
    """
    found, above = path.lstat(), path.parent.stat()
    if not is_kind(found.st_mode) or found.st_uid not in (os.getuid(), above.st_uid):
        raise UserError(f"{path} is not yours: somebody else may have put it there. Remove it, and try again.")
    if stat.S_IMODE(found.st_mode) & ~mode:
        with contextlib.suppress(OSError):  # a file system without modes
            path.chmod(mode)
