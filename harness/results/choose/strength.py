"""Whether an order may be made of results: what they lack of the rules that compare states, in words.

Five seeds, each timed on a quiet machine, and the data set's own sizes: rows and epochs as the reference results of the
same data have them. Of data that these do not have, all its rows, and the epochs of conf/config.yaml.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import yaml

from harness.base.home import ROOT
from harness.figures.metrics import CLASSIFICATION
from harness.results.compare.rules import RUNS
from harness.results.reading import Result
from harness.results.traits import LOADER

SIZES = {
    "train.rows": "texts to train on",
    "valid.rows": "valid rows",
    "test.rows": "test rows",
    "train.epochs": "epochs",
}


def lacking(runs: Sequence[Result], reference: Sequence[Result]) -> list[str]:
    """Return what the runs of a library, one a seed, have less of than they should; nothing where they are strong."""
    found = [f"{len(runs)} of {RUNS} seeds"] if len(runs) < RUNS else []
    quiet = sum(one.timed for one in runs)
    if quiet < min(RUNS, len(runs)):
        found.append(f"{quiet} of {len(runs)} runs seen to be on a quiet machine")
    return found + list(small(runs, reference))


def small(runs: Sequence[Result], reference: Sequence[Result]) -> Iterator[str]:
    """Yield which sizes are below those of the reference results of the same data, or of the data set."""
    row, words = runs[0].row, runs[0].words
    alike = [one for one in reference if one.finished and one.task == runs[0].task]
    beside = [one.row for one in alike if one.row["data"] == row["data"]]
    for key, what in SIZES.items():
        size = min((one.row[key] for one in runs if one.row.get(key)), default=None)
        wanted = min((row[key] for row in beside if row.get(key)), default=None)
        if not beside and key == "train.epochs" and key in words:
            wanted = settings("config")["train"]["epochs"]
        if size is not None and wanted is not None and size < wanted:
            yield f"{size:,} of {wanted:,} {what}"
    whole = settings(f"data/{words.get('data', row['data'])}")
    for key in ("train_size", "valid_size", "test_size") if not beside else ():
        word = words.get(f"data.{key}")
        if word and smaller(yaml.safe_load(word), whole.get(key)):
            yield f"data.{key}={word}"


def smaller(size: Any, default: Any) -> bool:
    """Tell whether a size that a command gave is below the data set's own: null is all, whole numbers are rows."""
    if not isinstance(size, int | float):
        return False
    return default is None or (isinstance(size, int) == isinstance(default, int) and size < default)


@cache
def settings(name: str) -> Mapping[str, Any]:
    """Return what a file of conf/ says, such as `data/onet`; nothing where there is none."""
    path = ROOT / "conf" / f"{name}.yaml"
    return yaml.load(path.read_text(encoding="utf-8"), LOADER) if path.is_file() else {}


def tasks_of(data: str) -> list[str]:
    """Return what `task=` may be with a data set of conf/data/."""
    return settings(f"data/{data}").get("tasks") or [CLASSIFICATION]
