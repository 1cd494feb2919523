"""One label a text: figures of which class is said, and of how surely."""

from collections.abc import Sequence

import numpy as np

from harness.figures.metrics.counts import Counted, Details, macro_f1, of_names, of_rows, share
from recipes.contract.tasks import CLASSIFICATION

BINS = 15
CONFUSED = 1000
COUNTED = {"macro_f1": Counted(of_names, macro_f1), "accuracy": Counted(of_rows, share)}


def scores(labels: np.ndarray, logits: np.ndarray, names: Sequence[str] = ()) -> dict[str, float]:
    """Return the figures of one split from its labels (rows,) and logits (rows, classes).

    Macro- and weighted F1 are over the classes that occur among the labels or the predictions (scikit-learn's
    default); a class that is never predicted has F1 0.
    """
    from sklearn import metrics

    predicted = logits.argmax(1)
    probabilities = CLASSIFICATION.activation(logits)
    return {
        "rows": len(labels),
        "accuracy": float(metrics.accuracy_score(labels, predicted)),
        "macro_f1": float(metrics.f1_score(labels, predicted, average="macro", zero_division=0)),
        "weighted_f1": float(metrics.f1_score(labels, predicted, average="weighted", zero_division=0)),
        "log_loss": float(metrics.log_loss(labels, probabilities, labels=np.arange(logits.shape[1]))),
        "calibration_error": calibration_error(labels, probabilities),
    }


def details(labels: np.ndarray, logits: np.ndarray, names: list[str]) -> Details:
    """Return precision, recall, F1 and number of rows of each class, and the confusion matrix (rows: true).

    Of more than CONFUSED classes there is none: it has as many numbers as the square of their number.
    """
    from sklearn import metrics

    predicted = logits.argmax(1)
    every = np.arange(len(names))
    columns = metrics.precision_recall_fscore_support(labels, predicted, labels=every, zero_division=0)
    classes = {
        name: {"precision": float(p), "recall": float(r), "f1": float(f), "rows": int(n)}
        for name, p, r, f, n in zip(names, *columns, strict=True)
    }
    few = len(names) <= CONFUSED
    matrix = metrics.confusion_matrix(labels, predicted, labels=every).tolist() if few else None
    return {"classes": classes, "confusion": matrix}


def calibration_error(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Return the expected calibration error: |accuracy - confidence| averaged over 15 equal bins of confidence.

    Guo et al., On Calibration of Modern Neural Networks, ICML 2017, equation 3.
    """
    confidence, right = probabilities.max(1), probabilities.argmax(1) == labels
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = [abs(right[bins == b].mean() - confidence[bins == b].mean()) * (bins == b).sum() for b in np.unique(bins)]
    return float(sum(gaps) / len(labels))
