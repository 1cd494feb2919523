"""What a run starts from, and what it therefore is: placement, precision, data, weights, tokens, code."""

import functools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.base import environments
from harness.base.errors import UserError
from harness.inputs import controlled, data, models
from harness.machine import host, placement
from harness.runs import code, store

SCHEMA = 2  # of a row, and of what a run is


@dataclass(frozen=True)
class Prepared:
    """What a run starts from, and what it therefore is: `identity` decides its directory."""

    dataset: data.Dataset
    model: models.Model | None
    tokens: data.Tokens | None
    placed: placement.Placement
    identity: dict[str, Any]


def prepare(config: dict[str, Any]) -> Prepared:
    """Settle placement and precision, find weights and data, tokenise, and say what the run is.

    Weights, data and code count by their content: a file that moved is the same run, one whose bytes changed is
    another. The code is that of recipes/ which this run executes: an edit of another recipe changes nothing.
    """
    placed = placement.of(config)
    if config["protocol"]["name"] == "controlled":
        controlled.check(config)
    elif config["precision"] == "auto":
        config["precision"] = "bf16" if host.computes_bf16(placed.devices) else "fp32"
    check_tf32(config, placed)
    placed.accelerate["mixed_precision"] = "bf16" if config["precision"] == "bf16" else "no"
    recipe = config["recipe"]
    dataset, model, tokens = found(json.dumps([config["data"], config["model"] if recipe["pretrained"] else None]))
    identity = {
        "schema": SCHEMA,
        "recipe": {key: value for key, value in recipe.items() if key not in placement.KEYS},
        "data": {"name": config["data"]["name"], "digest": dataset.digest},
        "model": None,
        "protocol": config["protocol"],
        "precision": None,
        "seed": config["seed"],
        "threads": config["threads"],
        "env": environments.identity(recipe["environment"], config["env"]),
        "code": code.digest(recipe["name"], config["protocol"]["name"]),
        **placed.identity(),
    }
    if "test" not in config["evaluate"]:
        identity["evaluate"] = config["evaluate"]
    if model and tokens:
        chosen = {key: config["model"][key] for key in ("pooling", "dropout")}
        identity["model"] = {"name": model.name, "digest": model.digest, "config": model.config, **chosen}
        train = {key: value for key, value in config["train"].items() if (key, value) != ("accumulate", 1)}
        identity |= {"tokens": tokens.folder.name, "precision": config["precision"], "train": train}
    return Prepared(dataset, model, tokens, placed, identity)


def check_tf32(config: dict[str, Any], placed: placement.Placement) -> None:
    """Refuse TF32 where nothing computes in it: it would be a run in fp32 by another name."""
    if config["precision"] == "tf32" and config["recipe"]["pretrained"] and not host.computes_tf32(placed.devices):
        where = "these GPUs are older" if placed.gpu else f"placement={placed.name} is on processors"
        raise UserError(
            f"precision=tf32 is for NVIDIA's GPUs of compute capability 8.0 or newer, and {where}.\n"
            "Take precision=fp32, or bf16.",
            code=2,
        )


@functools.cache
def found(sections: str) -> tuple[data.Dataset, models.Model | None, data.Tokens | None]:
    """Return what `data` and `model` (JSON; no model: null) describe; made and checked once for all runs of a sweep."""
    described, wanted = json.loads(sections)
    dataset = data.prepare(described)
    if not wanted:
        return dataset, None, None
    model = models.find(wanted)
    length = described["max_length"] or model.longest
    if length > model.longest:
        raise UserError(f"data.max_length={length}: {model.name} takes at most {model.longest} tokens.", code=2)
    return dataset, model, data.tokenise(dataset, model.tokenizer, length)


def directory(config: dict[str, Any]) -> Path:
    """Return where the run that `config` describes is, or will be."""
    return store.directory(Path(config["outputs"]), prepare(config).identity)
