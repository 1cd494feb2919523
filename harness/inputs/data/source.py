"""What every kind of data gives: its splits as streams of rows, and what identifies their content."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.base.errors import UserError

SPLITS = ("train", "valid", "test")

# The row's number in its source, counted from 1; the list of the cells that make its text, or a text that counts as it
# is; its label, or the list of its labels. Rows of the same fourth, where there is one, stay in one split
Row = tuple[int, Any, Any] | tuple[int, Any, Any, str]
Notes = dict[str, Any]  # what reading found out (encoding, …), for the data report


@dataclass(frozen=True)
class Part:
    """One split of a source: where it is, in words for people, and how to stream its rows.

    `read` fetches first what has to be fetched; it fills its argument while its rows are taken. Of pictures the texts
    are paths below the folder `pictures`, and it is their files that count.
    """

    place: str
    read: Callable[[Notes], Iterator[Row]]
    pictures: Path | None = None


@dataclass(frozen=True)
class Source:
    """The splits a source has (at least `train`).

    `identity` holds all that decides the rows (digests of the files, columns, …) and nothing else: it is the
    cache's key. `described` says where the rows come from, for the data report. `texts` names the columns that make a
    text, where there are several. `missing` are the words that stand for an empty cell; None: none is looked for.
    `separator` parts the labels of a cell where a text has several; None: they are lists. `label` is what the column of
    the label is called.
    """

    parts: dict[str, Part]
    identity: dict[str, Any]
    described: dict[str, Any]
    drop_empty: bool = False
    texts: tuple[str, ...] = ()
    missing: frozenset[str] | None = None
    separator: str | None = None
    label: str = "number"


@dataclass(frozen=True)
class Sizes:
    """Rows wanted: a number, a share of the rows there are (a float below 1), or None for all."""

    train: int | float | None
    valid: int | float | None
    test: int | float | None
    seed: int
    cut: tuple[str, ...]  # the splits that the source does not have: they are cut from train

    @classmethod
    def read(cls, config: Mapping[str, Any], parts: Mapping[str, Part]) -> "Sizes":
        """Take the sizes from the data section; raise UserError for one that is no number or share."""
        cut = tuple(split for split in ("test", "valid") if split not in parts)
        train, valid, test = (_size(config, f"{split}_size", split not in cut) for split in SPLITS)
        seed = config["split_seed"]
        if isinstance(seed, bool) or not isinstance(seed, int):
            raise UserError(f"data.split_seed={seed}: give a whole number.")
        return cls(train, valid, test, seed, cut)

    def identity(self) -> dict[str, Any]:
        """Return the settings that change the result, given the splits there are."""
        used = {split: getattr(self, split) for split in (*self.cut, "train") if getattr(self, split) is not None}
        return {"sizes": used, "seed": self.seed if used else None}


def _size(config: Mapping[str, Any], key: str, optional: bool) -> int | float | None:
    size = config[key]
    if size is None and optional:
        return None
    whole = isinstance(size, int) and not isinstance(size, bool) and size >= 1
    if whole or (isinstance(size, float) and 0 < size < 1):
        return size
    everything = ", or null for all" if optional else ""
    raise UserError(f"data.{key}={size}: give a number of rows (1 or more) or a share between 0 and 1{everything}.")
