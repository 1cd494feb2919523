"""Seals: what the files of a checkpoint were when it was written, signed with a key that its folder does not hold.

The libraries keep optimizers and random states as pickles, and loading one can run any code. So a checkpoint is loaded
by the run that wrote it alone: its seal has size and SHA-256 of each file, and the HMAC-SHA-256 (RFC 2104) of these
under the user's key, which the harness keeps (`harness/base/home.py`) and whose place it tells in FINETUNE_RECIPES_KEY.
Standard library only: this runs in every library's environment.
"""

import hashlib
import hmac
import json
import os
import secrets
from pathlib import Path
from typing import Any

from recipes.contract.files import whole

SEAL = "checkpoint.json"
KEY = "FINETUNE_RECIPES_KEY"
OWN = secrets.token_bytes(32)  # the key of a process that was given none: it trusts what it wrote itself


class ForeignError(Exception):
    """A checkpoint that this run has not written, or whose seal was altered."""


def seal(folder: Path, seconds: float) -> None:
    """Declare the checkpoint in `folder` whole, made after so many seconds of training."""
    files = contents(folder)
    with whole(folder / SEAL) as handle:
        json.dump({"seconds": seconds, "files": files, "signature": signature(folder, seconds, files)}, handle)


def problem(folder: Path) -> str | None:
    """Say what is wrong with a checkpoint; None if it is whole, and as this run wrote it.

    Raises ForeignError where it is not this run's.
    """
    try:
        sealed = json.loads((folder / SEAL).read_text(encoding="utf-8"))
        seconds, files, signed = sealed["seconds"], sealed["files"], sealed.get("signature")
    except OSError:
        return "it was not written to its end"
    except (ValueError, KeyError, TypeError):
        return f"{SEAL} is not what was written"
    if not hmac.compare_digest(str(signed).encode(), signature(folder, seconds, files).encode()):
        raise ForeignError(
            "this run did not write it here, with your key"
            f" ({os.environ.get(KEY, 'none was given')}), and loading it could run any code"
        )
    try:
        found = contents(folder)
    except OSError as error:
        return str(error)
    wrong = [name for name in sorted({**files, **found}) if not found.get(name) or found[name] != files.get(name)]
    return f"{wrong[0]} is not what was written" if wrong else None


def seconds_of(folder: Path) -> float:
    """Return the seconds of training that a checkpoint was made after."""
    return json.loads((folder / SEAL).read_text(encoding="utf-8"))["seconds"]


def signature(folder: Path, seconds: float, files: dict[str, Any]) -> str:
    """Sign what a seal says, of a checkpoint of this step of this run; in hexadecimal."""
    run, step = folder.parents[1].name, folder.name.rpartition("-")[2]
    said = json.dumps([run, step, seconds, files], sort_keys=True)
    place = os.environ.get(KEY)
    return hmac.new(Path(place).read_bytes() if place else OWN, said.encode(), hashlib.sha256).hexdigest()


def contents(folder: Path) -> dict[str, list[Any] | None]:
    """Return size in bytes and SHA-256 of each file in a checkpoint, by its path there; None for what is no file."""
    found: dict[str, list[Any] | None] = {}
    for path in sorted(folder.rglob("*")):
        of_seal = path.parent == folder and (path.name == SEAL or path.name.startswith(f".{SEAL}."))
        if not of_seal and (path.is_symlink() or not path.is_dir()):
            plain = path.is_file() and not path.is_symlink()
            found[str(path.relative_to(folder))] = [path.stat().st_size, sha256(path)] if plain else None
    return found


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as handle:
        while block := handle.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
