"""Another Python than the one that runs, for an environment that needs it: found on this machine, or brought by uv.

Standard library only.
"""

import os
import platform
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from harness.base import output, progress, uv
from harness.base.errors import UserError
from harness.base.home import home, new_log


def found(version: str) -> Path | None:
    """Return a Python of a version, such as 3.10, that is on this machine; None if there is none."""
    if is_of(platform.python_version(), version):
        return Path(sys.executable)
    return next((python for python in candidates(version) if runs(python, version)), None)


def candidates(version: str) -> Iterator[Path]:
    """Return where such a Python may be: on the path, brought by us, among those of uv and of pyenv; newest first."""
    data = Path(os.environ.get("XDG_DATA_HOME") or "~/.local/share").expanduser()
    of_uv = Path(os.environ.get("UV_PYTHON_INSTALL_DIR") or data / "uv" / "python")
    of_pyenv = Path(os.environ.get("PYENV_ROOT") or "~/.pyenv").expanduser() / "versions"
    folders = [Path(folder) for folder in os.get_exec_path()]
    for place, kind in ((ours(), f"cpython-{version}.*"), (of_uv, f"cpython-{version}.*"), (of_pyenv, f"{version}.*")):
        folders += sorted((one / "bin" for one in place.glob(kind)), key=numbers, reverse=True)
    for folder in folders:
        if os.access(python := folder / f"python{version}", os.X_OK):
            yield python


def ours() -> Path:
    """Return the folder of the Pythons that `bring` brought."""
    return home() / "pythons"


def numbers(folder: Path) -> list[int]:
    """Return the numbers in the name of the folder above, by which versions are ordered."""
    return [int(number) for number in re.findall(r"\d+", folder.parent.name)]


def runs(python: Path, version: str) -> bool:
    """Tell whether a file runs as a Python of the version: pyenv's stand-ins on the path may not."""
    try:
        said = output.answer([python, "-c", "import platform; print(platform.python_version())"])
    except OSError:
        return False
    return said.returncode == 0 and is_of(said.stdout.strip(), version)


def is_of(full: str, version: str) -> bool:
    """Tell whether a full version, such as 3.10.13, is of the version 3.10."""
    return full.startswith(f"{version}.")


def found_or_brought(version: str, what: str) -> Path:
    """Return a Python of the version, fetched by uv if there is none. Raises UserError, for `what`, if that fails."""
    if python := found(version):
        return python
    log = new_log(f"python-{version}")
    with progress.step(f"fetching Python {version} (first use only)"):
        try:
            uv.run(["python", "install", "--no-bin", "--install-dir", str(ours()), version], log)
        except UserError as error:
            raise UserError(
                f"{what} needs Python {version}: there is none on this machine, and uv could not fetch it.\n"
                f"Install it, so that `python{version}` runs (or `pyenv install {version}`), and try again.",
                log=log,
            ) from error
    if python := found(version):
        return python
    raise UserError(f"{what} needs Python {version}: what uv fetched into {ours()} does not run here.", log=log)
