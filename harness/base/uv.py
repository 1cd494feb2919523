"""uv, which builds environments and fetches packages: found or installed, and given pip's settings.

Standard library only.
"""

import ast
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from harness.base import output, progress
from harness.base.errors import UserError, tail
from harness.base.home import ROOT, build_beside, home

REQUIREMENT = "uv>=0.9,<1"  # `venv --relocatable`, `pip compile --universal`


def run(arguments: list[str], log: Path, folder: Path = ROOT, find_links: bool = True) -> None:
    """Run uv in `folder`, its output appended to `log`; a failure is told with its last lines."""
    with open(log, "a", encoding="utf-8") as handle:
        command = [*find(), *arguments]
        environment = settings(os.environ, pip_options())
        if not find_links:
            environment.pop("UV_FIND_LINKS", None)
        code = subprocess.run(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=handle, stderr=handle, check=False
        ).returncode
    if code:
        text = log.read_text(encoding="utf-8", errors="replace")
        raise UserError(f"`uv {' '.join(arguments[:2])}` failed (exit code {code}):\n{tail(text)}", log=log)


@cache
def find() -> list[str]:
    """Return the command that runs uv: one that is there, or our own, installed into a private place on first use."""
    found = shutil.which("uv")
    if found and _version(found) >= (0, 9):
        return [found]
    private = home() / "uv"
    with build_beside(private, "uv") as folder:
        if folder:
            with progress.step("installing uv (first use only)"):
                _install(folder)
    return [str(private / "bin" / "uv")]


def _version(uv: str) -> tuple[int, ...]:
    said = output.answer([uv, "--version"]).stdout
    match = re.search(r"(\d+)\.(\d+)", said)
    return (int(match[1]), int(match[2])) if match else ()


def _install(folder: Path) -> None:
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
    done = output.answer([*command, "--target", str(folder), REQUIREMENT], environment)
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


def settings(environ: Mapping[str, str], pip: Mapping[str, str]) -> dict[str, str]:
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
