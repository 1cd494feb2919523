"""The folder that keeps what is made once (environments, weights, data, tokens), and how it is made whole.

Standard library only: the bootstrap uses it on a bare Python.
"""

import contextlib
import fcntl
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from harness import progress

ROOT = Path(__file__).resolve().parent.parent


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


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as handle:
        while block := handle.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
