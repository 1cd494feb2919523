"""What a run got wrong, row by row: errors.csv, the most confident mistakes first.

It quotes the texts, so it stays in the run's folder: no other file of results has any.
"""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from harness.figures import outputs
from harness.inputs.data.spans import spans_of
from recipes.contract.files import whole
from recipes.contract.ragged import Ragged
from recipes.contract.split import Split
from recipes.contract.tasks import TASKS

HEAD = ("row", "text", "true", "predicted")
DIGITS = 6
PARTED = "; "


class Mistake(NamedTuple):
    """A row that is wrong, by its place in the split; how sure the model was of it: a probability, or a distance."""

    place: int
    true: Any
    predicted: Any
    sure: float


def file_of(split: str) -> str:
    """Return the name of the file with what is wrong in a split."""
    return "errors.csv" if split == "valid" else f"errors_{split}.csv"


def keep(data: Path, task: str, names: list[str], scale: tuple[float, float], folder: Path, split: str) -> Path:
    """Write what the run in `folder` got wrong of a split whose rows lie in the folder `data`; return the file."""
    with np.load(folder / f"predictions_{split}.npz") as saved:
        labels, said = outputs.of_split(task, saved, scale)
    rows, path = Split(split, data), folder / file_of(split)
    found = sorted(of_task(task, rows, labels, said, names), key=lambda one: (-one.sure, one.place))
    with whole(path) as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow([*HEAD, "distance" if task == "regression" else "probability"])
        for one in found:
            cells = (one.true, one.predicted, round(one.sure, DIGITS))
            writer.writerow([int(rows.row_ids[one.place]), rows.text(one.place), *cells])
    return path


def of_task(task: str, rows: Split, labels: Any, said: Any, names: list[str]) -> Iterator[Mistake]:
    """Yield what is wrong, from labels and outputs of a split as the figures take them."""
    if task == "tagging":
        return of_spans(rows, labels, said, names)
    if task == "multilabel":
        return of_several(labels, said, names)
    return of_numbers(labels, said) if task == "regression" else of_one(labels, said, names)


def of_one(labels: np.ndarray, logits: np.ndarray, names: list[str]) -> Iterator[Mistake]:
    """One label a text: the rows that another is said of."""
    best, probabilities = logits.argmax(1), TASKS["classification"].activation(logits)
    for row in np.flatnonzero(best != labels).tolist():
        yield Mistake(row, names[labels[row]], names[best[row]], float(probabilities[row, best[row]]))


def of_several(labels: np.ndarray, logits: np.ndarray, names: list[str]) -> Iterator[Mistake]:
    """Any number of labels: the rows of which one is said too many or missed, by the surest of these."""
    task = TASKS["multilabel"]
    said, chances = task.answers(logits), task.activation(logits)
    wrong, sure = said != labels, np.where(said == 1, chances, 1 - chances)
    for row in np.flatnonzero(wrong.any(1)).tolist():
        sets = [PARTED.join(names[place] for place in np.flatnonzero(one[row]).tolist()) for one in (labels, said)]
        yield Mistake(row, sets[0], sets[1], float(sure[row][wrong[row]].max()))


def of_spans(rows: Split, labels: Ragged, logits: Ragged, names: list[str]) -> Iterator[Mistake]:
    """Spans: the texts of which some are missed or wrong, and these alone, by the surest of them.

    How sure one is, is how sure the least sure tag of its words is, as it is said.
    """
    assert rows.words is not None, "a split that is tagged has words"
    differ = np.cumsum([0, *(labels.values != logits.values.argmax(1))])[labels.offsets]
    for row in np.flatnonzero(np.diff(differ)).tolist():
        words, text = [(start, end) for start, end in rows.words[row].tolist()], rows.text(row)
        chances = TASKS["tagging"].activation(logits[row]).max(1)
        tags = ([names[tag] for tag in one.tolist()] for one in (labels[row], logits[row].argmax(1)))
        true, said = ({span: chances[first:end].min() for span, first, end in spans_of(words, its)} for its in tags)
        sides = [sorted(one.keys() - other.keys()) for one, other in ((true, said), (said, true))]
        sure = [side[span] for side, spans in zip((true, said), sides, strict=True) for span in spans]
        if sure:
            told = [PARTED.join(f"{one.label}: {text[one.start : one.end]}" for one in side) for side in sides]
            yield Mistake(row, told[0], told[1], float(max(sure)))


def of_numbers(labels: np.ndarray, said: np.ndarray) -> Iterator[Mistake]:
    """Numbers: all rows, by how far what is said is from what is true."""
    for row, (true, number) in enumerate(zip(labels.tolist(), said[:, 0].tolist(), strict=True)):
        yield Mistake(row, float(f"{true:.7g}"), float(f"{number:.7g}"), abs(number - true))  # float32 has no more
