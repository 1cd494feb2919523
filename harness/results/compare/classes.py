"""What was predicted of each class or label: F1 and confusion of each that competes, means over its seeds."""

from dataclasses import dataclass

import numpy as np

from harness.figures.metrics.counts import f1, indicators, of_names
from harness.figures.metrics.tagging import of_spans
from harness.results.compare.analysis import Contestant


@dataclass(frozen=True)
class Scored:
    """`f1` (names, classes) and `confusion` (names, classes, classes), whose rows are true classes and add up to 1.

    Of texts with several labels there is no confusion: none of those said stands for one that is true.
    """

    names: list[str]
    kind: str  # class or label
    classes: list[str]  # the rarest first, with the number of their rows
    f1: np.ndarray
    confusion: np.ndarray | None
    rows: np.ndarray  # of each class


def scored(ones: list[Contestant]) -> Scored | None:
    """Return the figures by class of those whose runs have test predictions, or None where there are no classes."""
    held = predicted(ones)
    if not held or held[0].runs[0].task == "regression":
        return None
    read = [[run.predictions() for run in one.runs] for one in held]
    labels = read[0][0][0]
    several = labels.ndim > 1
    number = labels.shape[1] if several else 1 + max(int(max(map(np.max, run))) for runs in read for run in runs)
    true = labels if several else indicators(labels, number)
    rows = true.sum(0, dtype=np.int64)
    order = np.argsort(rows, kind="stable")
    f1 = np.stack([np.mean([f1_of(*run, number) for run in runs], 0)[order] for runs in read])
    shares = None
    if not several:
        counts = np.stack([np.sum([confusion(*run, number) for run in runs], 0) for runs in read])
        shares = (counts / np.maximum(counts.sum(2, keepdims=True), 1))[:, order][:, :, order]
    known = next((run.classes for one in held for run in one.runs if run.classes), None)
    kind = "label" if several else "class"
    names = known if known and len(known) >= number else [f"{kind} {place}" for place in range(number)]
    return Scored(
        [one.name for one in held],
        kind,
        [f"{names[place]} ({rows[place]})" for place in order],
        f1,
        shares,
        rows[order],
    )


def most_confused(found: Scored, pairs: int) -> list[tuple[int, int]]:
    """Return the pairs (true class, class it is taken for) with most rows, means over all that compete."""
    assert found.confusion is not None
    rows = found.confusion.mean(0) * found.rows[:, None]
    np.fill_diagonal(rows, 0)
    order = np.argsort(-rows, axis=None, kind="stable")[:pairs]
    return [
        (int(true), int(said))
        for true, said in zip(*np.unravel_index(order, rows.shape), strict=True)
        if rows[true, said]
    ]


def predicted(ones: list[Contestant]) -> list[Contestant]:
    """Return those whose runs have test predictions."""
    return [one for one in ones if all((run.folder / "predictions_test.npz").is_file() for run in one.runs)]


def confusion(labels: np.ndarray, answers: np.ndarray, classes: int) -> np.ndarray:
    """Return the counts of (true, predicted)."""
    places = labels.astype(np.int64) * classes + answers
    return np.bincount(places, minlength=classes**2).reshape(classes, classes)


def f1_of(labels: np.ndarray, answers: np.ndarray, number: int) -> np.ndarray:
    """Return F1 of each of so many classes or labels, also of spans, which come counted; 0 where one is nowhere."""
    if answers.ndim > labels.ndim:
        return f1(of_spans(labels, answers[:, None]).sum(0))[0]
    if labels.ndim == 1:
        labels, answers = indicators(labels, number), indicators(answers, number)
    return f1(of_names(labels, answers[:, None]).sum(0))[0]
