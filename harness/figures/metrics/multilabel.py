"""Any number of labels a text: figures of which labels are said, each where its sigmoid is above one half."""

from collections.abc import Sequence

import numpy as np

from harness.figures.metrics.counts import Counted, Details, macro_f1, micro_f1, of_names, of_rows, share
from recipes.contract.tasks import TASKS

TASK = TASKS["multilabel"]
THRESHOLDS = [round(0.05 * step, 2) for step in range(1, 20)]
COUNTED = {
    "macro_f1": Counted(of_names, macro_f1),
    "micro_f1": Counted(of_names, micro_f1),
    "exact_match": Counted(of_rows, share),
}


def scores(labels: np.ndarray, logits: np.ndarray, names: Sequence[str] = ()) -> dict[str, float]:
    """Return the figures of one split from its labels and logits, both (rows, labels).

    Macro-F1 is over the labels that occur among the truth or the predictions, as with one label a text. Exact match is
    the share of texts whose labels are all right and none too many; answered is the share to which any label is given;
    log loss is a text's mean over its labels. Average precision needs no threshold: of each label that some text has,
    precision over all its thresholds, weighed by what each adds to recall; their mean.
    """
    from sklearn import metrics

    predicted = TASK.answers(logits)
    some = labels.any(0)
    with_label = labels[:, some], logits[:, some]
    occur = np.flatnonzero(labels.any(0) | predicted.any(0))
    both = indicators(labels), indicators(predicted)
    macro = metrics.f1_score(*both, average="macro", labels=occur, zero_division=0) if len(occur) else 0.0
    return {
        "rows": len(labels),
        "micro_f1": float(metrics.f1_score(*both, average="micro", zero_division=0)),
        "macro_f1": float(macro),
        "exact_match": float(metrics.accuracy_score(*both)),
        "answered": float(predicted.any(1).mean()),
        "log_loss": TASK.loss(logits, labels).mean,
        "average_precision": float(metrics.average_precision_score(*with_label, average="macro"))
        if some.any()
        else 0.0,
    }


def chosen_threshold(labels: np.ndarray, logits: np.ndarray) -> float:
    """Return the probability above which to say labels for the best macro-F1; of several the nearest to one half."""
    found = {threshold: at(threshold, labels, logits)["macro_f1"] for threshold in THRESHOLDS}
    return max(THRESHOLDS, key=lambda threshold: (round(found[threshold], 12), -abs(threshold - 0.5)))


def at(threshold: float, labels: np.ndarray, logits: np.ndarray) -> dict[str, float]:
    """Return micro- and macro-F1 where labels are said whose probability is above a threshold."""
    said = (TASK.activation(logits) > threshold).astype(TASK.dtype)
    sums = of_names(labels, said[:, None]).sum(0, dtype=np.int64)
    return {"micro_f1": float(micro_f1(sums)[0]), "macro_f1": float(macro_f1(sums)[0])}


def details(labels: np.ndarray, logits: np.ndarray, names: list[str]) -> Details:
    """Return precision, recall, F1 and number of texts of each label."""
    from sklearn import metrics

    columns = metrics.precision_recall_fscore_support(
        indicators(labels), indicators(TASK.answers(logits)), average=None, labels=range(len(names)), zero_division=0
    )
    classes = {
        name: {"precision": float(p), "recall": float(r), "f1": float(f), "rows": int(n)}
        for name, p, r, f, n in zip(names, *columns, strict=True)
    }
    return {"classes": classes}


def indicators(labels: np.ndarray) -> np.ndarray:
    """Return labels with a column of zeros more: in one column alone scikit-learn would take 0 for a label too."""
    return np.pad(labels, ((0, 0), (0, 1)))
