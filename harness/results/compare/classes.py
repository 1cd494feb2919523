"""What was predicted of each class: F1 and confusion of each that competes, means over its seeds."""

from dataclasses import dataclass

import numpy as np

from harness.results.compare.analysis import Contestant


@dataclass(frozen=True)
class Scored:
    """`f1` (names, classes) and `confusion` (names, classes, classes), whose rows are true classes and add up to 1."""

    names: list[str]
    classes: list[str]  # the rarest first, with the number of their rows
    f1: np.ndarray
    confusion: np.ndarray


def scored(ones: list[Contestant]) -> Scored | None:
    """Return the figures by class of those whose runs have test predictions, or None where there are none."""
    held = [one for one in ones if all((run.folder / "predictions_test.npz").is_file() for run in one.runs)]
    if not held:
        return None
    read = [[run.predictions() for run in one.runs] for one in held]
    number = 1 + max(int(max(labels.max(), predicted.max())) for runs in read for labels, predicted in runs)
    matrices = [np.stack([confusion(labels, predicted, number) for labels, predicted in runs]) for runs in read]
    rows = matrices[0][0].sum(1)
    order = np.argsort(rows, kind="stable")
    f1 = np.stack([f1_of(each).mean(0)[order] for each in matrices])
    shares = np.stack(
        [(each.sum(0) / np.maximum(each.sum((0, 2)), 1)[:, None])[np.ix_(order, order)] for each in matrices]
    )
    known = next((run.classes for one in held for run in one.runs if run.classes), None)
    names = known if known and len(known) >= number else [f"class {place}" for place in range(number)]
    return Scored([one.name for one in held], [f"{names[place]} ({rows[place]})" for place in order], f1, shares)


def confusion(labels: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Return the counts of (true, predicted)."""
    return np.bincount(labels * classes + predicted, minlength=classes**2).reshape(classes, classes)


def f1_of(counts: np.ndarray) -> np.ndarray:
    """Return F1 of each class from matrices (runs, true, predicted); 0 where the class is nowhere."""
    hits = np.diagonal(counts, axis1=1, axis2=2)
    return 2 * hits / np.maximum(counts.sum(1) + counts.sum(2), 1)
