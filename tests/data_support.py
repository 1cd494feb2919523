"""What the tests of the data share: settings as the shipped configs have them, small files, what came out."""

import csv
import json
from pathlib import Path
from typing import Any

import yaml

from harness.base.home import ROOT
from harness.inputs.data import Dataset, prepare
from recipes.contract.split import Split

JOBS = [("cook in a hotel", "kitchen"), ("night nurse", "care"), ("pastry chef", "kitchen"), ("midwife", "care")]


def settings(name: str, **changes: Any) -> dict[str, Any]:
    """Return conf/data/NAME.yaml with `changes`."""
    config = yaml.safe_load((ROOT / "conf" / "data" / f"{name}.yaml").read_text(encoding="utf-8"))
    assert not set(changes) - set(config)
    return {**config, **changes}


def from_file(train: Path, **changes: Any) -> Dataset:
    """Prepare one's own file, with the columns `text` and `label` unless told otherwise."""
    return prepare(settings("csv", **{"train": str(train), "text": "text", "label": "label", **changes}))


def write_csv(path: Path, rows: list, header: tuple[str, ...] = ("text", "label"), encoding: str = "utf-8") -> Path:
    with path.open("w", encoding=encoding, newline="") as handle:
        csv.writer(handle, delimiter=",").writerows([header, *rows])
    return path


def write_json_lines(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def jobs(number: int) -> list[tuple[str, str]]:
    """Return `number` rows with distinct texts, half of each class."""
    return [(f"{text} {i}", label) for i, (text, label) in enumerate(JOBS * (number // 4 + 1))][:number]


def rows_of(data: Dataset, *names: str) -> list[tuple[int, str, str]]:
    """Return (row number, text, label name) of the named splits, or of all, as a recipe reads them."""
    found = []
    for name in names or ("train", "valid", "test"):
        split = Split(name, data.folder / name)
        assert len(split) == data.report["splits"][name]["rows"]
        found += [(int(split.row_ids[i]), split.text(i), data.labels[split.labels[i]]) for i in range(len(split))]
    return found
