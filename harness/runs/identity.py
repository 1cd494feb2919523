"""What a run is, as keys of its row, and a digest of what competes: all but the seed."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.runs import store
from harness.runs.code import DIGITS

Row = Mapping[str, Any]
PREFIX = "identity."
NOT_COMPARED = {"seed", "evaluate"}  # of an identity: which splits are measured changes no weight


def flat(identity: Mapping[str, Any], prefix: str = PREFIX) -> Row:
    """Return an identity as keys of a row: identity.recipe.learning_rate, …"""
    found: dict[str, Any] = {}
    for key, value in identity.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) and value else {f"{prefix}{key}": value}
    return found


def digest(identity: Mapping[str, Any], threads: int, drawn: str | None, versions: str | None) -> str:
    """Return a digest of what competes: an identity without the seed, with the threads as resolved and the versions.

    Random weights count as what they were `drawn` for (`models.Model`): each seed may have drawn its own.
    """
    what = {key: value for key, value in identity.items() if key not in NOT_COMPARED}
    what |= {"threads": threads, "versions": versions}
    if drawn:
        what["model"] = identity["model"] | {"digest": drawn}
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:DIGITS]


def edited_since(folder: Path, identity: Mapping[str, Any]) -> str | None:
    """Return the name and status of a run beside `folder` that is what `identity` is but for its code, if one is."""
    wanted = json.loads(json.dumps(flat(identity)))
    code = wanted.pop(f"{PREFIX}code")
    readable = folder.name.rpartition("-")[0]
    for other in sorted(folder.parent.glob(f"{readable}-*")):
        row, _ = store.latest(other) or ({}, 0.0)
        its = {key: value for key, value in row.items() if key.startswith(PREFIX)}
        if its.pop(f"{PREFIX}code", code) != code and its == wanted:
            return f"{other.name} ({row['status']})"
    return None
