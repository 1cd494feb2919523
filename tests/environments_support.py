"""Lists of environments of one's own, for tests that build them."""

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
