"""A file is written whole or not at all, also where several processes, on several machines, write it at once.

Standard library only: this runs in every library's environment.
"""

import contextlib
import fcntl
import glob
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any


@contextlib.contextmanager
def whole(path: Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Yield a new file (`mode`: w, text in UTF-8, or wb) that takes the place of `path` when the block ends well.

    Whoever reads finds the file before or the one after, and of several writers the last one's. Each writes under a
    name of its own beside it, drawn at random: machines that share a file system have process ids in common.
    """
    clear(path)
    with begun(path, mode) as handle:
        try:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
            os.replace(handle.name, path)  # before it is closed, and so free for others to clear away
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(handle.name)
            raise


def begun(path: Path, mode: str) -> IO[Any]:
    """Return a new file beside `path`, locked by this process until it is closed, or until this process dies."""
    while True:
        name = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
        handle = open(name, mode.replace("w", "x"), encoding=None if "b" in mode else "utf-8")  # noqa: SIM115
        fcntl.flock(handle, fcntl.LOCK_EX)
        if name.exists():  # or another took it for remains, in the moment before it was locked
            return handle
        handle.close()


def clear(path: Path) -> None:
    """Remove what writers of `path` that were killed have left: nobody holds its lock."""
    for remains in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        with contextlib.suppress(OSError), open(remains, "r+b") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            remains.unlink()


def readable(folder: Path) -> None:
    """Give the files of safetensors in a folder the mode of others: it writes them for their owner alone."""
    mask = os.umask(0)
    os.umask(mask)
    for path in folder.rglob("*.safetensors"):
        path.chmod(0o666 & ~mask)
