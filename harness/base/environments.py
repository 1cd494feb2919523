"""One environment a recipe: built from a pinned list on first use, by uv, and reused after.

Standard library only: the core environment is built by this too, from a bare Python.
"""

import hashlib
import importlib.metadata
import json
import os
import platform
import re
import sys
import sysconfig
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from harness.base import bytecode, interpreter, progress, pythons, uv, wheels
from harness.base.errors import UserError
from harness.base.home import ROOT, build_beside, home, new_log

LISTS = ROOT / "configs" / "environments"
OVERRIDES = "overrides.txt"  # in LISTS: what a package asks for and we leave out; NAME.overrides.txt: in its place
GIVEN = "FINETUNE_RECIPES_ENVIRONMENTS"  # FOLDER: environments that somebody else built, as FOLDER/NAME/bin/python
CUDA = r"(nvidia-(?!ml-py)|cuda-|triton\b)"
ON_GPU = "_cuda"  # NAME_cuda is what NAME is on GPUs, where one list cannot give both builds


@dataclass(frozen=True)
class Environment:
    """A Python with the packages of a recipe. Size in MB (10^6 bytes), where we built it."""

    name: str
    python: Path
    packages: dict[str, str]
    size_mb: float | None = None


class Built(TypedDict):
    """What `environment.json` says of an environment that we built."""

    name: str
    list: str  # SHA-256 of the list it was built from
    asked: list[str]  # packages
    python: str  # its version
    packages: dict[str, str]
    size_mb: float  # 10^6 bytes
    build_seconds: float


def names() -> list[str]:
    """Return the names of all environments that have a list."""
    return sorted(path.stem for path in LISTS.glob("*.in"))


def for_gpu(name: str) -> str:
    """Return the environment that stands for another on GPUs: its NAME_cuda, or itself where there is no such."""
    folder, cuda = given(), name + ON_GPU
    return cuda if ((folder / cuda).exists() if folder else cuda in names()) else name


def requirements(name: str, always: bool = False) -> list[str]:
    """Return the names of the packages that `configs/environments/NAME.in` asks for; `always`: on whatever machine."""
    names = []
    for line in (LISTS / f"{name}.in").read_text(encoding="utf-8").splitlines():
        if match := re.match(r"-r (\w+)\.in", line):
            names += requirements(match[1], always)
        elif (match := re.match(r"\w[\w.-]*", line)) and not (always and ";" in line.partition(" #")[0]):
            names.append(match[0])
    return names


def list_digest(name: str) -> str:
    """Return the SHA-256 of the pinned list `NAME.txt` and of the overrides it is installed with."""
    return hashlib.sha256((LISTS / f"{name}.txt").read_bytes() + (LISTS / overrides(name)).read_bytes()).hexdigest()


def overrides(name: str) -> str:
    """Return the file in LISTS of what is left out of an environment: its own, or that of all others."""
    own = f"{name}.overrides.txt"
    return own if (LISTS / own).exists() else OVERRIDES


def stated(name: str, pattern: str) -> re.Match[str] | None:
    """Return what a line of `NAME.in` states beside the packages, as "# python: 3.10" does."""
    return re.search(pattern, (LISTS / f"{name}.in").read_text(encoding="utf-8"), re.MULTILINE)


def needed_python(name: str) -> str | None:
    """Return the version of Python that `NAME.in` asks for, such as 3.10; None: that which runs will do."""
    line = stated(name, r"^# python: (\d+\.\d+)\b")
    return line[1] if line else None


def compiled(name: str) -> wheels.Compiled | None:
    """Return which package of a list has wheels for one Python alone, if `NAME.in` states one."""
    line = stated(name, r"^# compiles: ([\w.-]+), but for Python (\d+\.\d+)\b")
    return wheels.Compiled(line[1], line[2], LISTS / f"{name}.txt", overrides(name)) if line else None


def versions(name: str) -> list[str]:
    """Return of which Pythons an environment may be, the last being that of all where nothing speaks for another."""
    here, compiling = platform.python_version(), compiled(name)
    if needed := needed_python(name):
        return [needed]
    return [compiling.version, here] if compiling and not pythons.is_of(here, compiling.version) else [here]


def place_of(name: str, version: str) -> Path:
    """Return where an environment of a Python is or will be: its key is its list, the Python and the platform."""
    key = [version, sysconfig.get_platform(), sys.implementation.name]
    digest = hashlib.sha256(list_digest(name).encode() + "\n".join(key).encode()).hexdigest()
    return home() / "environments" / f"{name}-{digest[:12]}"


def folder_of(name: str) -> Path:
    """Return where the environment `name` is or, as far as one can tell without asking the registry, will be."""
    if folder := given():
        return folder / name
    places = [place_of(name, version) for version in versions(name)]
    return next((place for place in places if place.exists()), places[-1])


def given() -> Path | None:
    """Return the folder of environments that somebody else built, if $FINETUNE_RECIPES_ENVIRONMENTS names one."""
    folder = os.environ.get(GIVEN)
    return Path(folder).expanduser().absolute() if folder else None


def is_ours(choice: str) -> bool:
    """Tell whether `env=CHOICE` names an environment that we build, of what its list pins."""
    return choice == "managed" and not given()


def ensure(name: str) -> Environment:
    """Return the environment `name`, built first if it is not there."""
    if given():
        return _given(name)
    folder, version = settled(name)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with build_beside(folder, f"the environment {name}") as building:
        if building:
            _build(name, building, version)
    os.utime(folder / "environment.json")  # the time of its last use, for `scripts/environments.py`
    known = record(folder)
    return Environment(name, folder / "bin" / "python", known["packages"], known["size_mb"])


def _given(name: str) -> Environment:
    """Return an environment that somebody else built. Raises UserError where it is missing, or a package in it."""
    folder, said = folder_of(name), f"{GIVEN}={os.environ[GIVEN]}"
    if not folder.parent.is_dir():
        raise UserError(f"{said}: there is no such folder. Name one that has environments, or unset the variable.")
    if not (python := folder / "bin" / "python").exists():
        there = ", ".join(one for one in names() if (folder.parent / one / "bin" / "python").exists())
        raise UserError(
            f"{said}: there is no {python}. It has {there or 'no environment'}.\n"
            f"Make the environment {name} there, of what configs/environments/{name}.txt pins, or unset the variable."
        )
    return Environment(name, python, complete(name, said, python))


def complete(name: str, who: str, python: Path, instead: str = "") -> dict[str, str]:
    """Return the packages of an interpreter. Raises UserError where it lacks one that `NAME.in` asks for."""
    packages = interpreter.asked_once(who, python)[1]
    if missing := [one for one in requirements(name, always=True) if interpreter.normal(one) not in packages]:
        pins = f"configs/environments/{name}.txt"
        raise UserError(f"{who}: {python} lacks {', '.join(missing)}.\nInstall into it what {pins} pins{instead}.")
    return packages


def check(name: str, choice: str) -> None:
    """Raise UserError where no run can be done in what `env=CHOICE` names: no Python there, or one without packages."""
    if choice != "managed":
        complete(name, f"env={choice}", python_of(choice), ", or take env=managed")
    elif given():
        _given(name)


def settled(name: str) -> tuple[Path, str]:
    """Return where the environment `name` is or will be, and of which Python."""
    folder, (*others, here) = folder_of(name), versions(name)
    for version in others:
        other, compiling = place_of(name, version), compiled(name)
        if folder == other or not folder.exists() and compiling and wheels.is_better(compiling):
            return other, version
    return folder, here


def built() -> list[Path]:
    """Return the folders of all environments that are there, of this checkout's lists or of others."""
    return sorted(path.parent for path in (home() / "environments").glob("*/environment.json"))


def sites(folder: Path) -> list[Path]:
    """Return the folder of an environment's packages: one, unless somebody has meddled with it."""
    return list(folder.glob("lib/python*/site-packages"))


def record(folder: Path) -> Built:
    """Return what was written of an environment when it was built."""
    return json.loads((folder / "environment.json").read_text(encoding="utf-8"))


def python_of(choice: str) -> Path:
    """Return the interpreter that `env=current` or `env=/path/to/python` names."""
    return Path(os.environ["FINETUNE_RECIPES_PYTHON"] if choice == "current" else choice).expanduser().absolute()


def identity(name: str, choice: str) -> str:
    """Return what tells one environment from another: the key of one that we build; else the interpreter's path and a
    digest of its version and packages; the path alone where it cannot be asked, as where only other machines have it.
    """
    if is_ours(choice):
        return settled(name)[0].name
    python = folder_of(name) / "bin" / "python" if choice == "managed" else python_of(choice)
    try:
        found = interpreter.asked_once(f"env={choice}", python)
    except UserError:
        return str(python)
    return f"{python} ({hashlib.sha256(json.dumps(found).encode()).hexdigest()[:12]})"


def of(name: str, choice: str) -> Environment:
    """Return the environment that `env=CHOICE` names: `managed`, `current`, or the path of a Python."""
    if choice == "managed":
        return ensure(name)
    python = python_of(choice)
    return Environment(choice, python, interpreter.asked(f"env={choice}", python)[1])


def _build(name: str, folder: Path, version: str) -> None:
    """Build the environment `name` in the empty folder given, and write its record `environment.json`."""
    start = time.monotonic()
    log = new_log(f"environment-{name}")
    uv.find()  # on first use its installation has a line of its own, above
    base = sys.executable
    if version != platform.python_version():
        base = str(pythons.found_or_brought(version, f"the environment {name}"))
    if compiling := compiled(name):
        wheels.tell_of_compiling(f"the environment {name}", compiling, Path(base))
    with progress.step(f"building the environment {name} (first use only)") as show:
        uv.run(["venv", "--quiet", "--relocatable", "--python", base, "--allow-existing", str(folder)], log)
        python = folder / "bin" / "python"
        what = ["pip", "install", "--python", str(python), "--override", overrides(name), "-r", f"{name}.txt"]
        uv.run(what, log, LISTS)
        (site,) = sites(folder)
        others = [other for environment in built() for other in sites(environment)]
        bytecode.compile_all(python, site, others)
        size = sum(path.lstat().st_size for path in folder.rglob("*")) / 1e6
        show(f"({size:.0f} MB)")
    packages = {interpreter.normal(d.name): d.version for d in importlib.metadata.distributions(path=[str(site)])}
    known: Built = {
        "name": name,
        "list": list_digest(name),
        "asked": requirements(name),
        "python": interpreter.asked(f"the environment {name}", python)[0],
        "packages": dict(sorted(packages.items())),
        "size_mb": round(size, 1),
        "build_seconds": round(time.monotonic() - start, 1),
    }
    (folder / "environment.json").write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")


def compile_list(name: str) -> None:
    """Pin what `NAME.in` asks for, on all platforms and Pythons from 3.10 on, into `NAME.txt`; no addresses.

    Where it needs another Python, for that alone. Folders of wheels (find-links) are left out of account: their local
    builds are not everybody's. The CUDA packages are left to torch, which pins them itself, so that one list gives
    the CPU or the CUDA build; those of a list for GPUs are pinned, since JAX and TensorFlow leave them open.
    """
    log, needed = new_log(f"compile-{name}"), needed_python(name)
    what = ["pip", "compile", "--quiet", "--universal", "--python-version", needed or "3.10", "--upgrade"]
    what += ["--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links"]
    what += ["--override", overrides(name)]
    with progress.step(f"compiling configs/environments/{name}.txt"), tempfile.TemporaryDirectory() as project:
        if needed:
            alone = f"[tool.uv]\nenvironments = [\"python_full_version == '{needed}.*'\"]\n"
            Path(project, "pyproject.toml").write_text(alone, encoding="utf-8")
            what += ["--project", project]
        uv.run([*what, f"{name}.in", "-o", f"{name}.txt"], log, LISTS, find_links=False)
    pins = LISTS / f"{name}.txt"
    if not name.endswith(ON_GPU):
        lines = [line for line in pins.read_text(encoding="utf-8").splitlines() if not re.match(CUDA, line)]
        pins.write_text("\n".join(lines) + "\n", encoding="utf-8")
