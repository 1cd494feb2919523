"""Figures that follow from counts of rows: what is right, what is said, what is true.

Of rows drawn anew such a figure takes no more than weights: weights (resamples, rows) times what each row counts
(rows, …) is what is counted in each resample.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

Details = dict[str, Any]  # of a split, for metrics.json: `classes`, and what else a task has


class Counted(NamedTuple):
    """A figure in this form.

    `counts` takes labels (rows, …) and the answers of some runs (rows, runs, …) of a split, and returns what each row
    counts: small whole numbers (rows, runs, …). `figure` takes sums of these over rows, with any axes before their
    last ones, and returns the figure (float64).
    """

    counts: Callable[[np.ndarray, np.ndarray], np.ndarray]
    figure: Callable[[np.ndarray], np.ndarray]


def of_names(labels: np.ndarray, answers: np.ndarray) -> np.ndarray:
    """Return (rows, runs, 2, names): of each name whether it is true plus whether it is said, and whether it is both.

    Labels and answers are (rows,) and (rows, runs), which of the names, or have an axis of names, 1 where it holds.
    """
    if labels.ndim == 1:
        names = 1 + int(max(labels.max(), answers.max()))
        labels, answers = indicators(labels, names), indicators(answers, names)
    labels = labels[:, None]
    return np.stack([labels + answers, labels & answers], 2)


def indicators(labels: np.ndarray, names: int) -> np.ndarray:
    """Return uint8 with an axis of names added: 1 where the label is that name."""
    return (labels[..., None] == np.arange(names)).view(np.uint8)


def of_rows(labels: np.ndarray, answers: np.ndarray) -> np.ndarray:
    """Return (rows, runs, 2): whether all of an answer is right, and 1, for the row itself."""
    right = (labels[:, None] == answers).reshape(*answers.shape[:2], -1).all(2)
    return np.stack([right, np.ones_like(right)], 2).view(np.uint8)


def f1(sums: np.ndarray) -> np.ndarray:
    """Return F1 of each name; 0 where it is neither true nor said."""
    either, right = sums[..., 0, :], sums[..., 1, :]
    return np.divide(2 * right, either, out=np.zeros(either.shape), where=either > 0)


def macro_f1(sums: np.ndarray) -> np.ndarray:
    """Return the mean F1 of the names that are true or said somewhere, as scikit-learn does; 0 where none is."""
    return f1(sums).sum(-1) / np.maximum((sums[..., 0, :] > 0).sum(-1), 1)


def micro_f1(sums: np.ndarray) -> np.ndarray:
    """Return F1 of all names counted together; 0 where none is true or said."""
    either, right = np.moveaxis(sums.sum(-1, dtype=np.float64), -1, 0)
    return 2 * right / np.maximum(either, 1)


def share(sums: np.ndarray) -> np.ndarray:
    """Return the mean of what rows count: the share that is right (accuracy, exact match), or their mean error."""
    right, rows = np.moveaxis(sums.astype(np.float64), -1, 0)
    return right / rows
