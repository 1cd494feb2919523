"""Arrays as they lie on disk: flat, read by memory map; rows of different lengths end to end. numpy alone."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np


class Ragged:
    """Rows of different lengths, kept flat: row i is `values[offsets[i]:offsets[i + 1]]`.

    On disk: `NAME.values.bin` (any dtype) and `NAME.offsets.bin` (int64, one more than there are rows), read
    by memory map.
    """

    def __init__(self, values: np.ndarray, offsets: np.ndarray):
        self.values, self.offsets = values, offsets

    @classmethod
    def open(cls, folder: Path, name: str, dtype: str) -> "Ragged":
        return cls(
            read_array(folder / f"{name}.values.bin", dtype), read_array(folder / f"{name}.offsets.bin", "int64")
        )

    @classmethod
    def of(cls, rows: Sequence[np.ndarray]) -> "Ragged":
        """Put rows, arrays that differ in their first dimension alone, end to end."""
        return cls(np.concatenate(rows), np.cumsum([0, *map(len, rows)], dtype=np.int64))

    def write(self, folder: Path, name: str) -> None:
        """Write the two files that `open` reads; values in their own dtype."""
        self.values.tofile(folder / f"{name}.values.bin")
        self.offsets.astype(np.int64).tofile(folder / f"{name}.offsets.bin")

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> np.ndarray:
        return self.values[self.offsets[row] : self.offsets[row + 1]]

    @property
    def lengths(self) -> np.ndarray:
        return np.diff(self.offsets)

    def taken(self, mask: np.ndarray) -> "Ragged":
        """Return the rows of a mask (rows,)."""
        offsets = np.cumsum([0, *self.lengths[mask]], dtype=np.int64)
        return Ragged(self.values[np.repeat(mask, self.lengths)], offsets)


def read_array(path: Path, dtype: str) -> np.ndarray:
    """Memory-map a flat binary file; an empty file is an empty array."""
    if path.stat().st_size == 0:
        return np.empty(0, dtype)
    return np.memmap(path, dtype, mode="r")


def flat(values: Any) -> np.ndarray:
    """Return an array, numpy's or a library's, as numpy's; rows of different lengths, ragged or a list, end to end."""
    if isinstance(values, Ragged):
        return values.values
    return np.concatenate(values) if isinstance(values, list) else np.asarray(values)


def in_order(batches: Sequence[Any], order: np.ndarray) -> np.ndarray:
    """Join what was predicted of batches, whose rows came in `order`, and put it in the order of the rows; float32.

    Batches are arrays (rows, outputs), or lists of an array (tokens, outputs) for each row, which come out end to end.
    """
    if isinstance(batches[0], list):
        rows = [np.asarray(row, np.float32) for batch in batches for row in batch]
        return np.concatenate([rows[place] for place in np.argsort(order)])
    joined = np.concatenate(batches)
    ordered = np.empty(joined.shape, np.float32)
    ordered[order] = joined
    return ordered
