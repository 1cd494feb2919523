"""What a run predicted of a split, as the figures take it: tags by the words of whole texts, numbers in their unit.

A recipe tags windows of texts (harness/inputs/data/windows.py), and says numbers scaled by those of train.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from harness.figures.metrics import tagging
from recipes.contract.ragged import Ragged
from recipes.contract.tasks import TASKS

TAGGING = TASKS["tagging"]


def of_split(task: str, saved: Mapping[str, np.ndarray], scale: tuple[float, float]) -> tuple[Any, Any]:
    """Return labels and outputs from the arrays of predictions_SPLIT.npz (recipes/contract/split.py: `kept`)."""
    labels, logits = saved["labels"], saved["logits"]
    if task == "tagging":
        counts = TAGGING.is_item(labels)
        offsets = of_texts(saved["row_ids"], TAGGING.items(Ragged(labels, saved["offsets"])))
        return Ragged(labels[counts], offsets), Ragged(logits[counts], offsets)
    if task == "regression":
        mean, deviation = scale
        return (deviation * labels.astype(np.float64) + mean), (deviation * logits.astype(np.float64) + mean)
    return labels, logits


def of_texts(row_ids: np.ndarray, words: np.ndarray) -> np.ndarray:
    """Return where the words of each text begin and end, int64 (texts + 1,), from windows: whose, and their words.

    The windows of a text follow one another.
    """
    first = np.flatnonzero(np.diff(row_ids, prepend=row_ids[:1] - 1))
    return np.append(np.concatenate([[0], np.cumsum(words)])[first], words.sum())


def keep_counted(task: str, labels: Any, outputs: Any, names: list[str], folder: Path, split: str) -> None:
    """Write counted_SPLIT.npz: what compare reads, of tasks whose answers are not in predictions_SPLIT.npz as they are.

    Of tags: true spans (texts, labels), and (texts, 2, labels) those both true and said, and those said; of numbers:
    the true and the said, (texts,).
    """
    if task == "tagging":
        true, *said = np.moveaxis(tagging.counts(labels, tagging.predicted(outputs), names), 1, 0)
        np.savez_compressed(folder / f"counted_{split}.npz", labels=true, predicted=np.stack(said, 1))
    elif task == "regression":
        said = outputs[:, 0].astype(np.float32)
        np.savez_compressed(folder / f"counted_{split}.npz", labels=labels.astype(np.float32), predicted=said)


def rows_of(values: Any, mask: np.ndarray) -> Any:
    """Return the rows of a mask of labels or outputs, as `of_split` has them."""
    return values.taken(mask) if isinstance(values, Ragged) else values[mask]
