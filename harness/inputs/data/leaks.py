"""Does a column of the text predict the label by itself? Then a model learns the column, and no text."""

from typing import Any

import numpy as np

SEVERAL = 3  # different texts that a column's value stands in, for its having one label to say something
MANY = 10  # rows that a whole text stands in, likewise: a file may hold rows more than once
MOST = 0.4  # of the rows that such values must cover: codes do, titles do not
CERTAIN = 0.95  # of such values that must have one label
ABOVE_CHANCE = 0.9  # of what chance leaves of them to be had
SPREAD = np.uint64(0x9E3779B97F4A7C15)  # odd, so that a text's hash with another label is another number


def found(parts: dict[str, np.ndarray], texts: np.ndarray, labels: np.ndarray) -> list[dict[str, Any]]:
    """Return the columns of a text that predict the label by themselves; where none does, whether they do together.

    `parts` maps the columns to their values, `texts` are those of the text they make, `labels` are numbers; all (rows,)
    and uint64 but the labels; 0 is an empty cell. A column's values count by the different texts they stand in.
    """
    _, first = np.unique(texts + labels.astype(np.uint64) * SPREAD, return_index=True)
    alone = []
    for name, values in parts.items() if len(parts) > 1 else ():
        if leak := by_itself(values[first], labels[first], SEVERAL):
            alone.append({"columns": [name], **leak})
    together = by_itself(texts, labels, MANY)
    return alone or ([{"columns": list(parts), **together}] if together else [])


def by_itself(values: np.ndarray, labels: np.ndarray, several: int) -> dict[str, int] | None:
    """Return how many values stand in `several` rows, and how many of these have one label, if nearly all; else None.

    What chance gives is counted off as Cohen's kappa does: a value in n rows has one label with probability
    sum over labels of p^n.
    """
    values, labels = values[values != 0], labels[values != 0]
    _, value, rows = np.unique(values, return_inverse=True, return_counts=True)
    repeated = rows >= several
    covered = int(rows[repeated].sum())
    if not covered or covered < MOST * len(values):
        return None
    classes = int(labels.max()) + 1
    pairs = np.unique(value * classes + labels)
    alone = (np.bincount(pairs // classes, minlength=len(rows)) == 1) & repeated
    share = alone.sum() / repeated.sum()
    lengths, times = np.unique(rows[repeated], return_counts=True)
    p = np.bincount(labels) / len(labels)
    chance = sum((p**length).sum() * number for length, number in zip(lengths, times, strict=True)) / repeated.sum()
    if share < CERTAIN or chance == 1 or share - chance < ABOVE_CHANCE * (1 - chance):
        return None
    return {"repeated_values": int(repeated.sum()), "with_one_label": int(alone.sum()), "rows": covered}
