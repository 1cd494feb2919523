"""A number a text: how far what is said is from what is true, in the number's own unit."""

import numpy as np

from harness.figures.metrics.counts import Counted, Details, share


def scores(labels: np.ndarray, outputs: np.ndarray, names: list[str]) -> dict[str, float]:
    """Return the figures of one split from its numbers (rows,) and those said (rows, 1), unscaled.

    Mean absolute error; root of the mean squared error; R², the share of the numbers' variance that is explained (0:
    no better than their mean); Spearman's rank correlation (0 where all that is said is alike).
    """
    from scipy.stats import spearmanr
    from sklearn import metrics

    true, said = labels.astype(np.float64), outputs[:, 0].astype(np.float64)
    alike = len(np.unique(true)) < 2 or len(np.unique(said)) < 2
    return {
        "rows": len(true),
        "mae": float(metrics.mean_absolute_error(true, said)),
        "rmse": float(metrics.root_mean_squared_error(true, said)),
        "r2": float(metrics.r2_score(true, said)) if len(true) > 1 else 0.0,
        "spearman": 0.0 if alike else float(spearmanr(true, said).statistic),
    }


def details(labels: np.ndarray, outputs: np.ndarray, names: list[str]) -> Details:
    """Return the quantiles of the error, said less true."""
    error = outputs[:, 0].astype(np.float64) - labels
    shares = (0.05, 0.25, 0.5, 0.75, 0.95)
    return {"classes": {}, "error": {f"{share:.0%}": float(np.quantile(error, share)) for share in shares}}


def of_errors(labels: np.ndarray, answers: np.ndarray) -> np.ndarray:
    """Return (rows, runs, 2): how far an answer is from the truth, and 1, for the row itself."""
    error = np.abs(answers.astype(np.float64) - labels[:, None])
    return np.stack([error, np.ones_like(error)], 2)


COUNTED = {"mae": Counted(of_errors, share)}
