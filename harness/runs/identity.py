"""What a run is: its directory follows from that, and a digest of what competes, which is all but the seed."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from harness.runs import store
from harness.runs.code import DIGITS
from harness.runs.row import Row

PREFIX = "identity."
NOT_COMPARED = {"seed", "evaluate"}  # which splits are measured changes no weight
OPTIONAL = {"placement", "evaluate", "tokens", "train", "task", "compile", "batches"}  # what only some runs have


@dataclass(frozen=True)
class Identity:
    """What decides the directory of a run, and nothing else.

    `model`, `precision`, `tokens` and `train` are of a recipe with an encoder; `placement` is not of one process on the
    processors, `evaluate` not of a run that is measured on test, too, `task` not of one label a text.
    """

    schema: int
    recipe: Mapping[str, Any]
    data: Mapping[str, str]  # name and digest
    model: Mapping[str, Any] | None  # name, digest, config, pooling, dropout
    protocol: Mapping[str, Any]
    precision: str | None
    seed: int
    threads: int | None
    env: str
    code: str
    placement: Mapping[str, Any] | None = None
    evaluate: tuple[str, ...] | None = None
    tokens: str | None = None
    train: Mapping[str, int] | None = None
    task: str | None = None
    compile: str | None = None  # how much of the training is, where any of it
    batches: str | None = None  # packed, where they are not padded

    def values(self) -> dict[str, object]:
        """Return it as JSON has it."""
        found = {one.name: getattr(self, one.name) for one in fields(self)}
        found = {key: value for key, value in found.items() if value is not None or key not in OPTIONAL}
        return {key: list(value) if isinstance(value, tuple) else value for key, value in found.items()}

    def directory(self, outputs: Path) -> Path:
        """Return the directory of the run: a part one can read and a digest of all of it."""
        model = self.model["name"] if self.model else None
        parts = [self.recipe["name"], model, self.protocol["name"], self.precision, f"seed{self.seed}"]
        if self.placement:
            parts.append(f"{self.placement['processes']}{self.placement['device']}")
        whole = hashlib.sha256(json.dumps(self.values(), sort_keys=True).encode()).hexdigest()
        name = "-".join([part for part in parts if part] + [whole[:8]])
        return outputs.expanduser().absolute() / self.data["name"] / name

    def digest(self, threads: int, drawn: str | None, versions: str | None) -> str:
        """Return a digest of what competes: all but the seed, with the threads as resolved and the versions.

        Random weights count as what they were `drawn` for (`models.Model`): each seed may have drawn its own.
        """
        what = {key: value for key, value in self.values().items() if key not in NOT_COMPARED}
        what |= {"threads": threads, "versions": versions}
        if drawn and self.model:
            what["model"] = {**self.model, "digest": drawn}
        return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:DIGITS]

    def keys(self) -> dict[str, object]:
        """Return it as keys of a row: identity.recipe.learning_rate, …"""
        return flat(self.values())

    def edited_since(self, folder: Path) -> str | None:
        """Return the name and status of a run beside `folder` that is this one but for its code, if one is."""
        wanted = json.loads(json.dumps(self.keys()))
        code = wanted.pop(f"{PREFIX}code")
        readable = folder.name.rpartition("-")[0]
        for other in sorted(folder.parent.glob(f"{readable}-*")):
            row, _ = store.latest(other) or (Row({}), 0.0)
            its = {key: value for key, value in row.items() if key.startswith(PREFIX)}
            if its.pop(f"{PREFIX}code", code) != code and its == wanted:
                return f"{other.name} ({row.status})"
        return None


def flat(values: Mapping[str, object], prefix: str = PREFIX) -> dict[str, object]:
    """Return a mapping of mappings as keys with dots between; an empty one is a value."""
    found: dict[str, object] = {}
    for key, value in values.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) and value else {f"{prefix}{key}": value}
    return found
