"""Data: any kind of source -> flat files with fixed splits, then token ids; each made once, keyed by content.

Only what a cached start needs is imported here; the rest is imported where something has to be made.
"""

import hashlib
import importlib
import json
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.base import progress
from harness.base.errors import UserError, nearest
from harness.base.home import build_beside, home, sha256
from harness.inputs.data import kinds
from harness.inputs.data.source import Sizes, Source

FORMAT = 3  # of the prepared files and the tokens; a new one makes all entries anew

__all__ = ["Dataset", "Tokens", "prepare", "tokenise"]


@dataclass(frozen=True)
class Dataset:
    """Prepared data: `folder`/<split>/{texts.values,texts.offsets,labels,row_ids}.bin, and seen.bin but for train.

    `labels` are the names, sorted; labels.bin is as the task has it: one label a text is its index (int32).
    row_ids.bin (int64) holds each row's number in its source, counted from 1. seen.bin (uint8) has 1 where the very
    same text stands in train.
    `digest` is a SHA-256 over every split's texts and label names. `report` is JSON-able. Where texts are tagged,
    words.{values,offsets}.bin say where the word of each label is in its text (see `Batch.words`).
    """

    folder: Path
    digest: str
    labels: list[str]
    report: dict[str, Any]
    task: str = "classification"  # its name; recipes/contract/tasks.py has the rest

    @property
    def scale(self) -> tuple[float, float]:
        """Mean and standard deviation of train's numbers, by which those on disk are scaled; else 0 and 1."""
        told = self.report.get("scale", {"mean": 0.0, "standard_deviation": 1.0})
        return told["mean"], told["standard_deviation"]


@dataclass(frozen=True)
class Tokens:
    """Token ids: `folder`/<split>/token_ids.{values,offsets}.bin, special tokens included. `report` is JSON-able.

    Where texts are tagged, the folder of a split has all that a split has, and its rows are windows of the texts: see
    windows.py.
    """

    folder: Path
    report: dict[str, Any]


def prepare(config: Mapping[str, Any], task: str = "classification") -> Dataset:
    """Return the data that the resolved `data` section asks for, for the task of a name; made first if it is not there.

    Raises UserError for anything wrong with the settings or with the data, and says where.
    """
    source = _source({**config, "task": task})
    sizes = Sizes.read(config, source.parts)
    key = {"format": FORMAT, "kind": config["kind"], **source.identity, **sizes.identity()}
    if task != "classification":
        key["task"] = task
    folder = home() / "data" / f"{config['name']}-{_digest12(key)}"
    with build_beside(folder, f"preparing the data {config['name']}") as building:
        if building is not None:
            from harness.inputs.data.build import build
            from recipes.contract.tasks import TASKS

            build(source, sizes, TASKS[task], building)
    record = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
    for line in record["report"]["told"]:
        progress.say(f"data: {line}")
    report = {"name": config["name"], "source": source.described, "digest": record["digest"], **record["report"]}
    return Dataset(folder, record["digest"], record["labels"], report, task)


def tokenise(dataset: Dataset, tokenizer: Path, max_length: int) -> Tokens:
    """Return the token ids of `dataset` by the fast tokenizer in the file `tokenizer` (a tokenizer.json).

    Rows are cut to `max_length` tokens, special tokens included, and not padded. Keyed by the content of the
    data set and of the tokenizer, and the length. Raises UserError for a file that is no tokenizer.
    """
    if isinstance(max_length, bool) or not isinstance(max_length, int) or max_length < 1:
        raise UserError(f"data.max_length={max_length}: give a number of tokens, 1 or more.")
    if not tokenizer.is_file():
        raise UserError(f"no fast tokenizer: {tokenizer} is missing. The model's folder needs its tokenizer.json.")
    digest, tagged = sha256(tokenizer), dataset.task == "tagging"
    folder = home() / "tokens" / _digest12([FORMAT, dataset.digest, digest, max_length, *(["words"] if tagged else [])])
    with build_beside(folder, "tokenising") as building:
        if building is not None:
            tokens = importlib.import_module(f"harness.inputs.data.{'windows' if tagged else 'tokens'}")
            tokens.build(dataset.folder, tokenizer, max_length, building)
    splits = json.loads((folder / "tokens.json").read_text(encoding="utf-8"))
    return Tokens(folder, {"max_length": max_length, "tokenizer_sha256": digest, "splits": splits})


def _source(config: Mapping[str, Any]) -> Source:
    """Ask the module of `harness.inputs.data.kinds` that `data.kind` names for its source."""
    names = sorted(module.name for module in pkgutil.iter_modules(kinds.__path__))
    kind = config["kind"]
    if kind not in names:
        raise UserError(f"data.kind={kind}: there are {', '.join(names)}.{nearest(str(kind), names)}")
    return importlib.import_module(f"harness.inputs.data.kinds.{kind}").source(config)


def _digest12(key: Any) -> str:
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:12]
