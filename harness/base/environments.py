"""One environment a recipe: built from a pinned list on first use, by uv, and reused after.

Standard library only: the core environment is built by this too, from a bare Python.
"""

import ast
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from harness.base import bytecode, interpreter, output, progress
from harness.base.errors import UserError, tail
from harness.base.home import ROOT, build_beside, home

LISTS = ROOT / "configs" / "environments"
OVERRIDES = "overrides.txt"  # in LISTS: what a package asks for and we leave out, for all environments
UV_REQUIREMENT = "uv>=0.9,<1"  # `venv --relocatable`, `pip compile --universal`
CUDA = r"(nvidia-(?!ml-py)|cuda-|triton\b)"


@dataclass(frozen=True)
class Environment:
    """A Python with the packages of a recipe. Size in MB (10^6 bytes), where we built it."""

    name: str
    python: Path
    packages: dict[str, str]
    size_mb: float | None = None


def names() -> list[str]:
    """Return the names of all environments that have a list."""
    return sorted(path.stem for path in LISTS.glob("*.in"))


def requirements(name: str) -> list[str]:
    """Return the names of the packages that `configs/environments/NAME.in` asks for."""
    names = []
    for line in (LISTS / f"{name}.in").read_text(encoding="utf-8").splitlines():
        if match := re.match(r"-r (\w+)\.in", line):
            names += requirements(match[1])
        elif match := re.match(r"[A-Za-z0-9._-]+", line):
            names.append(match[0])
    return names


def list_digest(name: str) -> str:
    """Return the SHA-256 of the pinned list `NAME.txt` and of the overrides it is installed with."""
    return hashlib.sha256((LISTS / f"{name}.txt").read_bytes() + (LISTS / OVERRIDES).read_bytes()).hexdigest()


def folder_of(name: str) -> Path:
    """Return where the environment `name` is or will be: its key is its list, the Python version and the platform."""
    key = [platform.python_version(), sysconfig.get_platform(), sys.implementation.name]
    digest = hashlib.sha256(list_digest(name).encode() + "\n".join(key).encode()).hexdigest()
    return home() / "environments" / f"{name}-{digest[:12]}"


def ensure(name: str) -> Environment:
    """Return the environment `name`, built first if it is not there."""
    folder = folder_of(name)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with build_beside(folder, f"the environment {name}") as building:
        if building:
            _build(name, building)
    os.utime(folder / "environment.json")  # the time of its last use, for `scripts/environments.py`
    known = record(folder)
    return Environment(name, folder / "bin" / "python", known["packages"], known["size_mb"])


def built() -> list[Path]:
    """Return the folders of all environments that are there, of this checkout's lists or of others."""
    return sorted(path.parent for path in (home() / "environments").glob("*/environment.json"))


def sites(folder: Path) -> list[Path]:
    """Return the folder of an environment's packages: one, unless somebody has meddled with it."""
    return list(folder.glob("lib/python*/site-packages"))


def record(folder: Path) -> dict[str, Any]:
    """Return what was written when it was built: name, list (digest), asked, packages, size_mb, build_seconds."""
    return json.loads((folder / "environment.json").read_text(encoding="utf-8"))


def python_of(choice: str) -> Path:
    """Return the interpreter that `env=current` or `env=/path/to/python` names."""
    return Path(os.environ["FINETUNE_RECIPES_PYTHON"] if choice == "current" else choice).expanduser().absolute()


def identity(name: str, choice: str) -> str:
    """Return what tells one environment from another: the key of the managed one, or the interpreter's path and a
    digest of its version and packages; the path alone where it cannot be asked, as where only other machines have it.
    """
    if choice == "managed":
        return folder_of(name).name
    try:
        found = interpreter.asked_once(choice, python_of(choice))
    except UserError:
        return str(python_of(choice))
    return f"{python_of(choice)} ({hashlib.sha256(json.dumps(found).encode()).hexdigest()[:12]})"


def of(name: str, choice: str) -> Environment:
    """Return the environment that `env=CHOICE` names: `managed`, `current`, or the path of a Python."""
    if choice == "managed":
        return ensure(name)
    python = python_of(choice)
    return Environment(choice, python, interpreter.asked(choice, python)[1])


def _build(name: str, folder: Path) -> None:
    """Build the environment `name` in the empty folder given, and write its record `environment.json`."""
    start = time.monotonic()
    log = new_log(f"environment-{name}")
    find_uv()  # on first use its installation has a line of its own, above
    with progress.step(f"building the environment {name} (first use only)") as show:
        run_uv(["venv", "--quiet", "--relocatable", "--python", sys.executable, "--allow-existing", str(folder)], log)
        pins = str(LISTS / f"{name}.txt")
        python = str(folder / "bin" / "python")
        run_uv(["pip", "install", "--python", python, "--override", OVERRIDES, "-r", pins], log)
        (site,) = sites(folder)
        others = [other for environment in built() for other in sites(environment)]
        bytecode.compile_all(folder / "bin" / "python", site, others)
        size = sum(path.lstat().st_size for path in folder.rglob("*")) / 1e6
        show(f"({size:.0f} MB)")
    packages = {interpreter.normal(d.name): d.version for d in importlib.metadata.distributions(path=[str(site)])}
    known = {
        "name": name,
        "list": list_digest(name),
        "asked": requirements(name),
        "packages": dict(sorted(packages.items())),
        "size_mb": round(size, 1),
        "build_seconds": round(time.monotonic() - start, 1),
    }
    (folder / "environment.json").write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")


def compile_list(name: str) -> None:
    """Pin what `NAME.in` asks for, on all platforms and Pythons from 3.10 on, into `NAME.txt`; no addresses.

    Folders of wheels (find-links) are left out of account: their local builds are not everybody's. The CUDA
    packages are left to torch, which pins them itself, so that one list gives the CPU or the CUDA build.
    """
    log = new_log(f"compile-{name}")
    what = ["pip", "compile", "--quiet", "--universal", "--python-version", "3.10", "--upgrade", "--no-header"]
    what += ["--no-annotate", "--no-emit-index-url", "--no-emit-find-links", "--override", OVERRIDES]
    with progress.step(f"compiling configs/environments/{name}.txt"):
        run_uv([*what, f"{name}.in", "-o", f"{name}.txt"], log, find_links=False)
    pins = LISTS / f"{name}.txt"
    lines = [line for line in pins.read_text(encoding="utf-8").splitlines() if not re.match(CUDA, line)]
    pins.write_text("\n".join(lines) + "\n", encoding="utf-8")


def new_log(name: str) -> Path:
    """Return an empty file for the output of a tool."""
    log = home() / "logs" / f"{name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("", encoding="utf-8")
    return log


def run_uv(arguments: list[str], log: Path, find_links: bool = True) -> None:
    """Run uv in the folder of the lists, its output appended to `log`; a failure is told with its last lines."""
    with open(log, "a", encoding="utf-8") as handle:
        command = [*find_uv(), *arguments]
        environment = settings_for_uv(os.environ, pip_options())
        if not find_links:
            environment.pop("UV_FIND_LINKS", None)
        code = subprocess.run(
            command, cwd=LISTS, env=environment, stdin=subprocess.DEVNULL, stdout=handle, stderr=handle, check=False
        ).returncode
    if code:
        text = log.read_text(encoding="utf-8", errors="replace")
        raise UserError(f"`uv {' '.join(arguments[:2])}` failed (exit code {code}):\n{tail(text)}", log=log)


@cache
def find_uv() -> list[str]:
    """Return the command that runs uv: one that is there, or our own, installed into a private place on first use."""
    found = shutil.which("uv")
    if found and _version(found) >= (0, 9):
        return [found]
    private = home() / "uv"
    with build_beside(private, "uv") as folder:
        if folder:
            with progress.step("installing uv (first use only)"):
                _install_uv(folder)
    return [str(private / "bin" / "uv")]


def _version(uv: str) -> tuple[int, ...]:
    said = output.answer([uv, "--version"]).stdout
    match = re.search(r"(\d+)\.(\d+)", said)
    return (int(match[1]), int(match[2])) if match else ()


def _install_uv(folder: Path) -> None:
    """Install uv into an empty folder with this Python's pip, or with that of a throw-away environment."""
    python = [sys.executable]
    if not importlib.util.find_spec("pip"):
        throwaway = folder / "pip"
        made = output.answer([sys.executable, "-m", "venv", str(throwaway)])
        if made.returncode:
            raise UserError(
                "uv is needed to build the environments, and this Python has neither pip nor venv to install it with.\n"
                "Install uv (docs.astral.sh/uv) or your system's python3-venv, then give the same command again."
            )
        python = [str(throwaway / "bin" / "python")]
    command = [*python, "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]
    environment = {**os.environ, "PIP_USER": "0", "PIP_ROOT_USER_ACTION": "ignore"}
    done = output.answer([*command, "--target", str(folder), UV_REQUIREMENT], environment)
    if done.returncode:
        raise UserError(f"uv could not be installed with pip:\n{tail(done.stderr)}")


def pip_options() -> dict[str, str]:
    """Return pip's own settings (its files and PIP_* variables), the stronger last, by option name."""
    options = {}
    listed = output.answer([sys.executable, "-m", "pip", "config", "list"]).stdout
    for line in listed.splitlines():
        name, _, value = line.partition("=")
        if name.startswith(("global.", "install.")):
            options[name.partition(".")[2]] = str(ast.literal_eval(value))
    for variable, value in os.environ.items():
        if variable.startswith("PIP_") and value:
            options[variable[4:].lower().replace("_", "-")] = value
    return options


def settings_for_uv(environ: Mapping[str, str], pip: Mapping[str, str]) -> dict[str, str]:
    """Return `environ` with pip's settings handed on under the names uv reads; what is set for uv stays."""
    handed = {}
    for option, variable, separator in (
        ("index-url", "UV_DEFAULT_INDEX", None),
        ("extra-index-url", "UV_INDEX", " "),
        ("find-links", "UV_FIND_LINKS", ","),
        ("trusted-host", "UV_INSECURE_HOST", " "),
        ("no-index", "UV_NO_INDEX", None),
        ("cert", "SSL_CERT_FILE", None),
        ("proxy", "HTTPS_PROXY", None),
        ("proxy", "HTTP_PROXY", None),
        ("timeout", "UV_HTTP_TIMEOUT", None),
        ("default-timeout", "UV_HTTP_TIMEOUT", None),
    ):
        if option in pip:
            handed[variable] = separator.join(pip[option].split()) if separator else pip[option]
    if "UV_INDEX" in handed:
        handed["UV_INDEX_STRATEGY"] = "unsafe-best-match"  # as pip does: the best version of all indexes
    return {**handed, **environ, "UV_NO_PROGRESS": "1"}
