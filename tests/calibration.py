"""How far the statistics of compare hold, of simulated libraries that are the same: `python tests/calibration.py 2000`.

Whether a run gets a row right depends on the row (some are hard), on what its library makes of that row, on the run's
seed, and on what the seed does to the row. The last three have a size in each of WORLDS; a size of 1 is that by which
rows differ in hardness. Both libraries have the same sizes, so neither is better, and each difference shown is a false
alarm. Of 2000 draws of each world, the standard error by the true one, and the share of false alarms:

    400 rows of 5 classes
                                2 seeds      3 seeds      5 seeds     10 seeds
    rows                    0.99   3.5%  0.99   5.0%  0.99   5.2%  0.99   5.1%
    seeds                   1.01   4.8%  1.01   4.7%  1.02   4.7%  1.01   5.2%
    seeds in rows           1.26   0.3%  1.09   1.4%  1.03   3.9%  1.02   4.8%
    mostly seeds in rows    1.06   1.4%  1.01   3.0%  1.00   3.9%  0.98   5.1%
    all three               1.01   4.0%  1.00   4.2%  1.02   4.2%  1.01   4.9%
    150 rows of 12 classes
                                2 seeds      3 seeds      5 seeds     10 seeds
    rows                    0.97   2.6%  0.95   5.9%  0.95   6.4%  0.95   6.6%
    seeds                   1.01   4.3%  1.02   4.7%  1.01   4.5%  1.01   4.7%
    seeds in rows           1.23   0.4%  1.09   1.5%  1.03   3.9%  1.01   4.2%
    mostly seeds in rows    1.10   0.7%  1.03   2.5%  0.98   3.9%  0.98   5.2%
    all three               1.01   3.1%  1.01   3.7%  1.00   4.2%  0.99   4.5%

Where what a seed does to a row is all there is, two seeds give too wide an error, on purpose; where seeds do nothing
and the rarest of twelve classes has four rows, resampled rows give one that is 5% too narrow.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

SIZES = {"400 rows of 5 classes": (400, 5), "150 rows of 12 classes": (150, 12)}
WORLDS = {  # what a library makes of a row, the seed, what a seed does to a row
    "rows": (1.0, 0.0, 0.0),
    "seeds": (0.0, 0.6, 0.1),
    "seeds in rows": (0.0, 0.0, 1.0),
    "mostly seeds in rows": (0.5, 0.1, 1.0),
    "all three": (0.5, 0.3, 0.5),
}
SEEDS = (2, 3, 5, 10)


class Calibration(NamedTuple):
    """Of comparisons with so many seeds."""

    seeds: int
    error: float  # root mean square of the standard errors, by the standard deviation of the differences
    alarms: float  # the share that is called different
    comparisons: int


def libraries(
    draw: np.random.Generator, rows: int, classes: int, sizes: tuple[float, float, float], runs: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return labels (rows,), the k-th class 1 / k as often as the first, and predictions (2 * runs, rows) of two."""
    shares = 1 / np.arange(1, classes + 1)
    labels, hardness = draw.choice(classes, rows, p=shares / shares.sum()), draw.normal(0, 1, rows)
    predicted = []
    for _ in range(2):
        of_row, of_seed, of_both = (
            size * draw.normal(0, 1, shape)
            for size, shape in zip(sizes, [(1, rows), (runs, 1), (runs, rows)], strict=True)
        )
        wrong = (labels + draw.integers(1, classes, (runs, rows))) % classes
        predicted.append(np.where(0.5 + of_row + of_seed + of_both > hardness, labels, wrong))
    return labels, np.concatenate(predicted)


def calibrated(
    rows: int, classes: int, sizes: tuple[float, float, float], worlds: int, seed: int = 0
) -> Iterator[Calibration]:
    """Yield what comparisons of two libraries that are the same give, with each number of seeds."""
    from harness.figures.metrics import METRICS
    from harness.results.compare import statistics

    macro_f1 = METRICS["classification"].counted["macro_f1"]

    draw, most = np.random.default_rng(seed), max(SEEDS)
    found: dict[int, list[statistics.Difference]] = {seeds: [] for seeds in SEEDS}
    for _ in range(worlds):
        labels, predicted = libraries(draw, rows, classes, sizes, most)
        scores = statistics.scores(macro_f1, labels, predicted.T, resamples=200, seed=int(draw.integers(2**31)))
        for seeds in SEEDS:
            for first in range(0, most - seeds + 1, seeds):
                ours = list(range(first, first + seeds))
                found[seeds].append(statistics.difference(scores, ours, [most + run for run in ours]))
    for seeds, ones in found.items():
        values, errors, p = (np.array([getattr(one, name) for one in ones]) for name in ("value", "error", "p"))
        ratio = float(np.sqrt((errors**2).mean() / (values**2).mean()))
        yield Calibration(seeds, ratio, float((p < statistics.LEVEL).mean()), len(ones))


def main(worlds: int) -> int:
    for name, size in SIZES.items():
        print(f"{name}\n{'':22}" + "".join(f"{seeds:7} seeds" for seeds in SEEDS))
        for what, sizes in WORLDS.items():
            cells = [f"{one.error:.2f} {one.alarms:6.1%}" for one in calibrated(*size, sizes, worlds)]
            print(f"{what:22}  " + "  ".join(cells), flush=True)
    return 0


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    from harness.base import bootstrap

    bootstrap.enter()
    sys.exit(main(int(sys.argv[1])))
