"""Does a column of the text predict the label by itself? Then a model learns the column, and no text."""

from typing import Any

import numpy as np

SEVERAL = 5  # rows that a value stands in, for its having one label to say something
MOST = 0.8  # of the rows with a value that such values must cover: codes do, titles do not
CERTAIN = 0.95  # of such values that must have one label
ABOVE_CHANCE = 0.9  # of what chance leaves of them to be had


def by_itself(values: np.ndarray, labels: np.ndarray) -> dict[str, int] | None:
    """Return in how many of its repeated values a column has one label, if that is as good as all; else None.

    `values` (rows,) uint64 stand for the cells, 0 for an empty one; `labels` (rows,) are numbers. What chance gives is
    counted off as Cohen's kappa does: a value in n rows has one label with probability sum over labels of p^n.
    """
    there = values != 0
    values, labels = values[there], labels[there]
    _, value, rows = np.unique(values, return_inverse=True, return_counts=True)
    repeated = rows >= SEVERAL
    covered = int(rows[repeated].sum())
    if not covered or covered < MOST * len(values):
        return None
    pairs = np.unique(np.stack([value, labels]), axis=1)[0]
    alone = (np.bincount(pairs, minlength=len(rows)) == 1) & repeated
    share = alone.sum() / repeated.sum()
    lengths, times = np.unique(rows[repeated], return_counts=True)
    p = np.bincount(labels) / len(labels)
    chance = sum((p**length).sum() * number for length, number in zip(lengths, times, strict=True)) / repeated.sum()
    if share < CERTAIN or share - chance < ABOVE_CHANCE * (1 - chance) or chance == 1:
        return None
    return {"repeated_values": int(repeated.sum()), "with_one_label": int(alone.sum()), "rows": covered}


def found(parts: dict[str, np.ndarray], whole: np.ndarray, labels: np.ndarray) -> list[dict[str, Any]]:
    """Return the columns that predict the label by themselves, or, where none does, whether they do together.

    `parts` maps the text's columns to their values, `whole` are those of the text they make.
    """
    alone = [{"columns": [name], **leak} for name, values in parts.items() if (leak := by_itself(values, labels))]
    if alone or len(parts) < 2:
        return alone
    together = by_itself(whole, labels)
    return [{"columns": list(parts), **together}] if together else []
