"""Environments for tests: lists of one's own to build them from, and Pythons that lack packages."""

import venv
from collections.abc import Mapping
from pathlib import Path

from harness.base import environments


def write_lists(place: Path, monkeypatch, lists: Mapping[str, tuple[str, str]]) -> Path:
    """Make lists, NAME.in and NAME.txt by name, the only ones, with a home of their own; return their folder."""
    folder = place / "lists"
    folder.mkdir()
    for name, (asked, pins) in lists.items():
        (folder / f"{name}.in").write_text(f"{asked}\n", encoding="utf-8")
        (folder / f"{name}.txt").write_text(f"{pins}\n", encoding="utf-8")
    (folder / environments.OVERRIDES).write_text("", encoding="utf-8")
    monkeypatch.setattr(environments, "LISTS", folder)
    monkeypatch.setenv("FINETUNE_RECIPES_HOME", str(place / "home"))
    return folder


def bare(folder):
    """Return a Python without packages."""
    venv.create(folder, with_pip=False)
    return folder / "bin" / "python"


def hollow(folder, name):
    """Return a Python with what is left of the packages of an environment when somebody has removed their files."""
    python = bare(folder)
    (site,) = folder.glob("lib/python*/site-packages")
    for package in environments.requirements(name):
        (site / f"{package}-9.dist-info").mkdir()
        about = f"Name: {package}\nVersion: 9\n"
        (site / f"{package}-9.dist-info" / "METADATA").write_text(about, encoding="utf-8")
    return python
