"""Quality, computed here and nowhere else, from what a recipe returned: the figures of each task, a module each.

A task's figures stand in result.json as SPLIT.NAME, and one of them, the primary, is what a search chooses by, what
`measure.target` is of and what compare tests, which needs it as counts of rows (counts.py). Each module has `scores`,
`details` and `COUNTED`; scikit-learn, which takes two seconds of a processor to import, comes in where something is
scored.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from harness.figures.metrics import classification, multilabel, regression, tagging
from harness.figures.metrics.counts import Counted, Details

CLASSIFICATION = "classification"  # what rows are of that say no task


class Figure(NamedTuple):
    """A figure of quality: how people call it, and which way is better."""

    name: str
    better: Literal["maximize", "minimize"] = "maximize"


@dataclass(frozen=True)
class Metrics:
    """The figures of a task.

    `scores` takes labels and outputs of a split, as its task has them (tags of words: `Ragged`; numbers unscaled), and
    the names of the outputs, and returns its figures; `details` what stands in metrics.json: the figures of each class
    or label. `counted` has those that follow from counts of rows, the primary among them.
    """

    primary: str
    shown: tuple[str, ...]  # in a run's summary
    figures: Mapping[str, Figure]
    scores: Callable[[Any, Any, list[str]], dict[str, float]]
    details: Callable[[Any, Any, list[str]], Details]
    counted: Mapping[str, Counted]

    @property
    def sign(self) -> int:
        """1 where more of the primary figure is better, -1 where less is."""
        return 1 if self.figures[self.primary].better == "maximize" else -1

    @property
    def primary_name(self) -> str:
        """How people call the primary figure: macro-F1."""
        return self.figures[self.primary].name


METRICS = {
    CLASSIFICATION: Metrics(
        primary="macro_f1",
        shown=("accuracy", "macro_f1"),
        figures={
            "accuracy": Figure("accuracy"),
            "macro_f1": Figure("macro-F1"),
            "weighted_f1": Figure("weighted F1"),
            "log_loss": Figure("log loss", "minimize"),
            "calibration_error": Figure("calibration error", "minimize"),
        },
        scores=classification.scores,
        details=classification.details,
        counted=classification.COUNTED,
    ),
    "multilabel": Metrics(
        primary="macro_f1",  # as with one label: what is rare counts as much as what is frequent
        shown=("micro_f1", "macro_f1", "exact_match", "average_precision"),
        figures={
            "micro_f1": Figure("micro-F1"),
            "macro_f1": Figure("macro-F1"),
            "exact_match": Figure("exact match"),
            "answered": Figure("answered"),
            "average_precision": Figure("average precision"),
            "log_loss": Figure("log loss", "minimize"),
        },
        scores=multilabel.scores,
        details=multilabel.details,
        counted=multilabel.COUNTED,
    ),
    "tagging": Metrics(
        primary="span_f1",
        shown=("span_f1", "span_precision", "span_recall"),
        figures={
            "span_f1": Figure("span F1"),
            "span_precision": Figure("precision"),
            "span_recall": Figure("recall"),
            "strict_f1": Figure("strict F1"),
            "token_accuracy": Figure("token accuracy"),
            "log_loss": Figure("log loss", "minimize"),
        },
        scores=tagging.scores,
        details=tagging.details,
        counted=tagging.COUNTED,
    ),
    "regression": Metrics(
        primary="mae",
        shown=("mae", "rmse", "r2", "spearman"),
        figures={
            "mae": Figure("mean absolute error", "minimize"),
            "rmse": Figure("root mean squared error", "minimize"),
            "r2": Figure("R²"),
            "spearman": Figure("Spearman"),
        },
        scores=regression.scores,
        details=regression.details,
        counted=regression.COUNTED,
    ),
}


def of_row(row: Mapping[str, Any]) -> Metrics:
    """Return the figures of the task of a run, by its row; older rows name none, and are of one label a text."""
    return METRICS[row.get("task") or CLASSIFICATION]
