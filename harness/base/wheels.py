"""A package that has wheels for few Pythons and is compiled for others: what to know before that begins.

Standard library only. uv is asked what it would install, which takes a second.
"""

import os
import re
import shlex
import shutil
import sys
import sysconfig
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from harness.base import progress, pythons, uv
from harness.base.errors import UserError
from harness.base.home import new_log


@dataclass(frozen=True)
class Compiled:
    """A package of the pins in a file; there is a wheel of it for one version of Python. `overrides`: a file beside."""

    package: str
    version: str
    pins: Path
    overrides: str


def is_better(compiled: Compiled) -> bool:
    """Tell whether the Python that there is a wheel for is on this machine, and better than the one that runs.

    It is unless it gets another build of anything: a folder of wheels may have PyTorch for processors, for the running
    Python alone, where the registry's is of several GB.
    """
    python = pythons.found(compiled.version)
    if not python or (there := would_install(compiled, python, compiling=False)) is None:
        return False
    here = would_install(compiled, Path(sys.executable), leave_out=True)
    return here is not None and {pin for pin in here if "+" in pin} <= there  # ==2.13.0+cpu: a build


@cache
def would_install(
    compiled: Compiled, python: Path, compiling: bool = True, leave_out: bool = False
) -> frozenset[str] | None:
    """Return what uv would install of the pins into an empty environment, as NAME==VERSION; None where it cannot.

    Without `compiling` it cannot where the package has no wheel; it may be left out.
    """
    log, pins = new_log(f"wheels-{compiled.package}"), compiled.pins.read_text(encoding="utf-8").splitlines()
    with tempfile.TemporaryDirectory() as empty:
        chosen = Path(empty, "list.txt")
        kept = [pin for pin in pins if not (leave_out and pin.startswith(f"{compiled.package}=="))]
        chosen.write_text("\n".join(kept), encoding="utf-8")
        what = ["pip", "install", "--dry-run", "--no-deps", "--python", str(python), "--target", f"{empty}/none"]
        what += ["--override", compiled.overrides, "-r", str(chosen)]
        what += [] if compiling else [f"--only-binary={compiled.package}"]
        try:
            uv.run(what, log, compiled.pins.parent)
        except UserError:
            return None
    return frozenset(re.findall(r"^ \+ (\S+)$", log.read_text(encoding="utf-8"), re.MULTILINE))


INSTALL_COMPILER = "Install one (Debian, Ubuntu: apt install g++; macOS: xcode-select --install)"


def compiler() -> bool:
    """Tell whether there is a C++ compiler."""
    return any(map(shutil.which, [*shlex.split(os.environ.get("CXX", ""))[:1], "c++", "g++", "clang++"]))


def tell_of_compiling(what: str, compiled: Compiled, python: Path) -> None:
    """Say that the package is compiled for `python`, if it is, and how long that takes.

    Raises UserError, for `what` needs it, where there is no compiler, or none of Python's headers.
    """
    if would_install(compiled, python, compiling=False) is not None:
        return
    if would_install(compiled, python, leave_out=True) is None:
        return  # the registry cannot be reached, or has not what is pinned: the build will tell
    package = f"{compiled.package}, which has a wheel for Python {compiled.version} alone"
    headers = Path(sysconfig.get_path("include"), "Python.h")
    if not compiler():
        raise UserError(f"{what} needs a C++ compiler, for {package}.\n{INSTALL_COMPILER}, and try again.")
    if python == Path(sys.executable) and not headers.exists():
        raise UserError(
            f"{what} needs the headers of this Python, for {package}: there is no {headers}.\n"
            "Install them (Debian, Ubuntu: apt install python3-dev), and try again."
        )
    progress.say(f"compiling the C++ of {package}: five to ten minutes")
