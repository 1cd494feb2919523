"""From a bare Python to the core environment: find or install uv, build, and start again inside.

Standard library only. `enter()` is the first call of train.py and of every script.
"""

import importlib.metadata
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from harness.base import environments
from harness.base.errors import UserError, guarded, nearest
from harness.base.home import ROOT

SEARCH = "core_optuna"
ENTERED = "FINETUNE_RECIPES_ENTERED"  # the environment that a process was replaced for


def environment_for(words: list[str]) -> str:
    """Return the environment that train.py needs for its words: the core, or the core and what they ask for beside."""
    if searches(words):
        return SEARCH
    chosen = "\n".join([*map(experiment, words), *words])  # a word stands above what an experiment says
    engines = re.findall(r"^(?:[ -]*override /)?hydra/launcher(?:=|: *)(\w+)", chosen, re.MULTILINE)
    for engine in engines[-1:]:
        if f"core_{engine}" in environments.names():
            check_keys(engine, words)  # before that is built
            return f"core_{engine}"
    return "core"


def check_keys(engine: str, words: list[str]) -> None:
    """Raise UserError for a word that sets what the launcher `engine` does not have."""
    known, path = set(), ["hydra", "launcher"]
    for line in (ROOT / "conf" / "hydra" / "launcher" / f"{engine}.yaml").read_text(encoding="utf-8").splitlines():
        if match := re.match(r"( *)(\w+):", line):
            path[2 + len(match[1]) // 2 :] = [match[2]]
            known.add(".".join(path))
    for key in (word.partition("=")[0] for word in words):
        if key.startswith("hydra.launcher.") and key not in known:
            raise UserError(f"hydra/launcher={engine} has no key '{key}'.{nearest(key, known)}", code=2)


def experiment(word: str) -> str:
    """Return the text of the file that `experiment=NAME` names, else nothing."""
    key, _, name = word.partition("=")
    path = ROOT / "conf" / "experiment" / f"{name}.yaml"
    return path.read_text(encoding="utf-8") if key == "experiment" and path.is_file() else ""


def searches(words: Sequence[str]) -> bool:
    """Tell whether the words ask for a search."""
    return any(re.fullmatch(r"hparams_search=(?!null$).+", word) for word in words)


def enter(name: str | Callable[[], str] = "core") -> None:
    """Make sure that this process runs in the environment `name`; replace it by one that does if need be.

    Which one may have to be told from the command line: then `name` is the function that does so. Nothing happens
    where the running interpreter will do: our own environment, or one in which the project was installed
    (`pip install -e .`). The interpreter a person called is kept in FINETUNE_RECIPES_PYTHON, for
    `env=current`.
    """
    if code := guarded(lambda: _enter(name if isinstance(name, str) else name())):
        sys.exit(code)


def _enter(name: str) -> None:
    os.environ.setdefault("FINETUNE_RECIPES_PYTHON", sys.executable)
    if os.environ.pop(ENTERED, None) == name:
        return  # this is it, also where it does not look so: somebody else's may be a script that starts a Python
    python, how = Path(sys.executable), []
    if sys.getfilesystemencoding() == "ascii":  # LC_ALL=C: names of files and words are UTF-8 all the same
        how = ["-X", "utf8"]
        os.environ |= {"PYTHONUTF8": "1", "PYTHONIOENCODING": sys.stdout.encoding}
    if not suitable(name):
        python = environments.ensure(name).python
    elif not how:
        return
    os.environ[ENTERED] = name
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(python, [str(python), *how, *sys.orig_argv[1:]])


def suitable(name: str) -> bool:
    """Tell whether the running interpreter has what the environment `name` would have."""
    here, needed = Path(sys.prefix).resolve(), environments.requirements(name)
    for ours in environments.names():
        if here == environments.folder_of(ours).resolve():
            return set(needed) <= set(environments.requirements(ours))
    return _installed("finetune-recipes") and all(map(_installed, needed))


def _installed(package: str) -> bool:
    try:
        importlib.metadata.distribution(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
