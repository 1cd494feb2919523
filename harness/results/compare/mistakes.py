"""What went wrong, for the HTML report: the surest mistakes of each run, the labels of a group that are likely wrong.

Both are of the valid split, and quote texts: of runs whose folder is whole, for results in small have none.
"""

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from harness.figures import outputs
from harness.results.compare.analysis import Analysis, Contestant
from harness.results.compare.sections import Table
from harness.results.reading import Result
from recipes.contract.ragged import flat
from recipes.contract.tasks import TASKS

FILE, SPLIT = "errors.csv", "valid"
SHOWN = 10  # rows of a table
LONGEST = 300  # characters of a text
DOUBTED = (
    "By confident learning (Northcutt et al., JAIR 2021; cleanlab), from the probabilities that {runs} gave, on "
    "average, to rows that they were not trained on: {found:,} of {rows:,}, the least likely label first. Look at them "
    "before you believe either side; models that know little doubt right labels too."
)


def tables(analysis: Analysis) -> Iterator[Table]:
    """Yield the labels of a group that are likely wrong, and the surest mistakes of each run."""
    ones = [one for one in analysis.contestants if any((run.folder / FILE).is_file() for run in one.runs)]
    if doubted := likely_wrong(ones):
        yield doubted
    for one in ones:
        for run in one.runs:
            if (run.folder / FILE).is_file():
                head, rows = read(run)
                said = (
                    "all its rows, the furthest first"
                    if run.task == "regression"
                    else "what it got wrong, the surest first"
                )
                note = f"{len(rows):,} rows of {SPLIT}: {run.folder / FILE}"
                yield Table(f"{one.name}, seed {run.row['seed']}: {said}", head, rows[:SHOWN], {1, 2, 3}, note)


def read(run: Result) -> tuple[list[str], list[list[str]]]:
    """Return the head and the rows of a run's errors.csv; long texts are cut."""
    with open(run.folder / FILE, encoding="utf-8", newline="") as handle:
        head, *rows = csv.reader(handle)
    return head, [[number, shortened(text), *cells] for number, text, *cells in rows]


def shortened(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def likely_wrong(ones: list[Contestant]) -> Table | None:
    """Return the rows whose label is likely wrong, with what a run says instead; None where none is found."""
    runs = [run for one in ones for run in one.runs if (run.folder / FILE).is_file() and has_logits(run)]
    if not runs or runs[0].task == "regression":
        return None
    saved = [dict(np.load(run.folder / f"predictions_{SPLIT}.npz")) for run in runs]
    same = [one for one in saved if np.array_equal(one["row_ids"], saved[0]["row_ids"])]
    found = doubted(runs[0].task, same)
    lines = {row[0]: row[:4] for run in reversed(runs) for row in read(run)[1]}
    rows = [lines[number] for number in map(str, found) if number in lines]
    if not rows:
        return None
    which = f"{len(same)} runs" if len(same) > 1 else "a run"
    note = DOUBTED.format(runs=which, found=len(rows), rows=len(np.unique(saved[0]["row_ids"])))
    head = ["row", "text", "its label", "what is said instead"]
    return Table(f"Labels of {SPLIT} that are likely wrong", head, rows[:SHOWN], {1, 2, 3}, note)


def has_logits(run: Result) -> bool:
    """Tell whether a run's predictions are whole."""
    path = Path(run.folder / f"predictions_{SPLIT}.npz")
    if not path.is_file():
        return False
    with np.load(path) as saved:
        return "logits" in saved and "row_ids" in saved


def doubted(task: str, saved: list[dict[str, np.ndarray]]) -> list[int]:
    """Return the row ids whose label is likely wrong, the likeliest first, from predictions of runs on these rows.

    Of several labels each is a question of its own, with two answers; of tags each word is one.
    """
    read = [outputs.of_split(task, one, (0.0, 1.0)) for one in saved]
    labels, row_ids = read[0][0], saved[0]["row_ids"]
    chances = np.mean([TASKS[task].activation(flat(said)) for _, said in read], 0)
    if task == "tagging":
        texts = row_ids[np.flatnonzero(np.diff(row_ids, prepend=row_ids[:1] - 1))]  # a text's windows lie together
        row_ids = np.repeat(texts, labels.lengths)
    found: list[tuple[float, int]] = []
    if task == "multilabel":
        for one, chance in zip(labels.T, chances.T, strict=True):
            found += issues(one, np.stack([1 - chance, chance], 1))
    else:
        found = issues(flat(labels), chances)
    return list(dict.fromkeys(int(row_ids[place]) for _, place in sorted(found)))


def issues(labels: np.ndarray, chances: np.ndarray) -> list[tuple[float, int]]:
    """Return the places of labels (items,) that are likely wrong, each with its chance, of chances (items, names)."""
    from cleanlab.filter import find_label_issues

    some = np.unique(labels)  # it takes no name that no label has
    if len(some) < 2:
        return []
    among = chances[:, some] / chances[:, some].sum(1, keepdims=True)
    numbers = np.searchsorted(some, labels)
    places = np.flatnonzero(find_label_issues(numbers, among, filter_by="confident_learning", n_jobs=1))
    return [(float(among[place, numbers[place]]), place) for place in places.tolist()]
