"""What a Python has that is not of our making, as `env=` may name one. Standard library only."""

import json
import os
import re
from functools import cache
from pathlib import Path

from harness.base import output
from harness.base.errors import UserError, tail
from harness.base.home import ROOT

NOT_ITS_OWN = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")  # of our variables: they lead a Python to others' packages
PROGRAM = """import platform, sys
if sys.version_info < (3, 10):
    sys.exit(sys.stdout.write('["%s", []]' % platform.python_version()) and 0)
import importlib.metadata, json
found = [(one.metadata["Name"], one.metadata["Version"]) for one in importlib.metadata.distributions() if one.metadata]
print(json.dumps([platform.python_version(), found]))"""


def asked(who: str, python: Path) -> tuple[str, dict[str, str]]:
    """Return the version of an interpreter and its packages, asked as a worker is started; of two of one name the first
    on its path, which is the one that it imports. `who` asks for it, as `env=PATH` does: errors begin with it.
    """
    if not (python.is_file() and os.access(python, os.X_OK)):
        raise UserError(f"{who}: there is no Python at {python}. Give the path of an interpreter, or env=managed.")
    variables = {name: value for name, value in os.environ.items() if name not in NOT_ITS_OWN}
    answer = output.answer([python, "-c", PROGRAM], variables, ROOT)
    if answer.returncode:
        said = tail(answer.stderr) or f"  it ended with exit code {answer.returncode} and said nothing"
        raise UserError(f"{who}: {python} does not run as a Python:\n{said}")
    try:
        version, found = json.loads(answer.stdout)
    except (ValueError, TypeError):
        raise UserError(f"{who}: {python} does not answer as a Python does.") from None
    if tuple(map(int, version.split(".")[:2])) < (3, 10):
        raise UserError(f"{who}: {python} is Python {version}; the recipes need Python 3.10 or newer.")
    packages = {normal(name): number for name, number in reversed(found) if name and number}
    return version, dict(sorted(packages.items()))


asked_once = cache(asked)  # a sweep wants to know it for each of its runs


def normal(package: str) -> str:
    """Return a package's name in the one form that compares (PEP 503)."""
    return re.sub(r"[-_.]+", "-", package).lower()
