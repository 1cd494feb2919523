"""A finished run as a model to use: found by its folder or its name, with what it takes a text through."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from harness import environments, machine, store
from harness.errors import UserError, nearest
from harness.home import sha256

SHOWN = 5  # runs listed in an error


@dataclass(frozen=True)
class Saved:
    """A finished run: its folder, its result, the configuration it had, and what its worker was given."""

    folder: Path
    row: dict[str, Any]
    config: dict[str, Any]
    job: dict[str, Any]

    @property
    def model(self) -> Path:
        return self.folder / "model"

    @property
    def tokenizer(self) -> tuple[Path, int] | None:
        """The file of the tokenizer and the length in tokens that texts were cut to; None: it takes texts."""
        report = json.loads((self.folder / "data_report.json").read_text(encoding="utf-8"))
        return (self.model / "tokenizer.json", report["tokens"]["max_length"]) if report["tokens"] else None

    @property
    def threads(self) -> int:
        return self.config["threads"] or machine.processors()

    def environment(self) -> environments.Environment:
        """Return the recipe's environment, built first if it is not there."""
        return environments.of(self.config["recipe"]["environment"], self.config["env"])

    def digest(self) -> dict[str, str]:
        """Return the SHA-256 of each of the model's files."""
        files = sorted(path for path in self.model.rglob("*") if path.is_file())
        return {str(path.relative_to(self.model)): sha256(path) for path in files}


def find(name: str, outputs: Path) -> Saved:
    """Return the run that `name` means: a folder, or a name in the folder of results, or how that begins."""
    folder = Path(name).expanduser()
    if not (folder / "result.json").exists():
        folder = below(name, outputs)
    folder = folder.absolute()
    row = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    if row["status"] != "finished":
        raise UserError(
            f"{folder}: this run has no model, it did not finish: {row['reason']}.\nAgain: {row['command']}"
        )
    if not (folder / "model").is_dir():
        raise UserError(f"{folder} has no model: only its results are here.\nTo train it: {row['command']}")
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    config = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    return Saved(folder, row, config, job)


def below(name: str, outputs: Path) -> Path:
    """Return the folder of the run with this name in the folder of results."""
    there = {path: path.stat().st_mtime for path in outputs.glob("*/[!.]*") if store.finished(path)}
    newest = sorted(there, key=lambda path: there[path], reverse=True)
    name = name.rstrip("/")
    named = {path: {path.name, f"{path.parent.name}/{path.name}"} for path in newest}
    found = [path for path, names in named.items() if name in names]
    found = found or [path for path, names in named.items() if any(other.startswith(name) for other in names)]
    if len(found) == 1:
        return found[0]
    shown = "".join(f"\n  {path.parent.name}/{path.name}" for path in (found or newest)[:SHOWN])
    if found:
        raise UserError(f"{len(found)} finished runs in {outputs} begin with {name}, the newest first:{shown}", code=2)
    if not there:
        raise UserError(
            f"{name}: there is no such folder, and no finished run in {outputs}. train.py makes one.", code=2
        )
    begun = name.rpartition("/")[2]
    near = nearest(begun, [path.name[: len(begun)] for path in newest])
    raise UserError(f"{name}: there is no such run in {outputs}.{near} The newest that finished:{shown}", code=2)
