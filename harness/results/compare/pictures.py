"""The pictures of a group of results, by matplotlib: colours that the colour-blind can tell apart, axes with units.

Each comes with a sentence that says what one sees, and on which machine it was measured.
"""

import io
from collections.abc import Iterator

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.ticker import LogLocator, NullFormatter

from harness.figures.metrics import Metrics
from harness.results.compare import classes
from harness.results.compare.analysis import COSTS, Analysis, Contestant, Figure, quality
from harness.results.compare.sections import Picture
from harness.results.compare.statistics import mean_interval
from harness.results.reading import pareto_front
from harness.runs.display import PHASES

COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"]  # Okabe and Ito 2008
MARKS = "osD^vP*X"
MAP = "cividis"  # Nuñez et al. 2018: the same to all eyes, and in grey
NAMED = 25  # classes whose names fit beside a confusion matrix; of more the most confused pairs are shown
PAIRS = 20
LETTERS = 32  # of a class's name
BY_KEY = {one.key: one for one in COSTS}
matplotlib.rcParams.update(
    {"font.size": 9, "svg.fonttype": "path", "figure.dpi": 120, "axes.grid": True, "grid.alpha": 0.3}
)


FRONT = (
    "{higher} and further left is better, and the dashed line is the Pareto front of those that no other beats in both."
)
CAPTIONS = {
    "training-time": f"Quality against the time of training: {FRONT}",
    "latency": f"Quality against the time of a call with one text: {FRONT}",
    "learning": "Training loss by step, a line a seed: the sooner it falls, the faster it learns.",
    "latency-distribution": "Share of the calls with one text that took at most so long: further left is better.",
    "memory": "Most memory that each phase held, median over runs: darker is better. White: too short to be sampled.",
    "classes": "F1 of each {name} of the test split, mean over seeds, the rarest {name} first: yellow is better.",
    "numbers": "What was said of each test row, mean over seeds, against what is true: the line is where both agree.",
    "confused": "The classes most often taken for another, and what share of their test rows: darker is better.",
    "confusion": "What was predicted of the test rows of each class, in F1's order: a yellow diagonal is better.",
}  # fmt: skip


def drawn(analysis: Analysis) -> Iterator[Picture]:
    """Draw the pictures that the results of a group have figures for."""
    ones, metrics = [one for one in analysis.contestants if one.runs], analysis.group.metrics
    figures = {
        "training-time": front(ones, BY_KEY["train.seconds"], metrics),
        "latency": front(ones, BY_KEY["inference.batch1.p50_ms"], metrics),
        "learning": learning(ones),
        "latency-distribution": latencies(ones),
        "memory": memory(ones),
    }
    if found := classes.scored(ones):
        many = len(found.classes) > NAMED
        figures |= {
            "classes": by_class(found),
            **({"confused": confused(found)} if many else {"confusion": confusion(found)}),
        }
    if analysis.group.task == "regression":
        figures["numbers"] = numbers(ones)
    words = {"higher": "higher" if metrics.sign > 0 else "lower", "name": found.kind if found else ""}
    for name, figure in figures.items():
        if figure:
            yield picture(name, figure, f"{CAPTIONS[name].format(**words)} Measured on {analysis.group.where}.")


def picture(name: str, figure: Drawing, caption: str) -> Picture:
    """Return a picture in both forms, the same bytes each time it is drawn."""
    forms = []
    with matplotlib.rc_context({"svg.hashsalt": name}):
        for kind, about in (("svg", {"Date": None}), ("png", {"Software": None})):
            form = io.BytesIO()
            figure.savefig(form, format=kind, bbox_inches="tight", metadata=about)
            forms.append(form.getvalue())
    return Picture(name, caption, *forms)


def canvas(width: float = 6.4, height: float = 4.0) -> tuple[Drawing, Axes]:
    """Return a figure of its own: none of pyplot, which keeps them all."""
    figure = Drawing(figsize=(width, height))
    return figure, figure.add_subplot()


def logarithmic(axes: Axes) -> None:
    """Make the horizontal axis logarithmic, its ticks plain numbers."""
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())


def colour(place: int) -> str:
    return COLOURS[place % len(COLOURS)]


def front(ones: list[Contestant], cost: Figure, metrics: Metrics) -> Drawing | None:
    """Draw the primary figure on test, with its interval, against a cost, and the Pareto front."""
    shown = [(place, one) for place, one in enumerate(ones) if len(one.values(cost))]
    if not shown:
        return None
    figure, axes = canvas()
    costs = [float(np.median(one.values(cost))) for _, one in shown]
    score = next(figure for figure in quality(metrics) if figure.key == f"test.{metrics.primary}")
    scores = [mean_interval(one.values(score)) for _, one in shown]
    for (place, one), x, y in zip(shown, costs, scores, strict=True):
        half = 0.0 if np.isnan(y.low) else y.high - y.value
        axes.errorbar(x, y.value, yerr=half, capsize=3, linestyle="none", label=one.name, color=colour(place),
                      marker=MARKS[place % len(MARKS)])  # fmt: skip
    best = pareto_front([(x, -metrics.sign * y.value) for x, y in zip(costs, scores, strict=True)])
    line = sorted((costs[one], scores[one].value) for one in best)
    axes.plot(*zip(*line, strict=True), color="grey", linestyle="--", linewidth=1, zorder=0, label="Pareto front",
              drawstyle="steps-post")  # fmt: skip
    axes.set(xlabel=f"{cost.name} ({cost.unit}, logarithmic)", ylabel=f"{score.name}, 95% interval")
    logarithmic(axes)
    axes.legend(fontsize=7)
    return figure


def learning(ones: list[Contestant]) -> Drawing | None:
    """Draw the training loss of each run."""
    if not any(run.curve for one in ones for run in one.runs):
        return None
    figure, axes = canvas()
    for place, one in enumerate(ones):
        for number, run in enumerate(run for run in one.runs if run.curve):
            axes.plot(*zip(*run.curve, strict=True), color=colour(place), linewidth=1, alpha=0.7,
                      label=None if number else one.name)  # fmt: skip
    axes.set(xlabel="optimiser step", ylabel="training loss (nats)")
    axes.legend(fontsize=7)
    return figure


def latencies(ones: list[Contestant], size: int = 1) -> Drawing | None:
    """Draw how the calls with one text are distributed, of all runs on a quiet machine together."""
    calls = [(place, one, [run.latencies[size] for run in one.runs if run.timed and size in run.latencies])
             for place, one in enumerate(ones)]  # fmt: skip
    if not any(found for _, _, found in calls):
        return None
    figure, axes = canvas()
    for place, one, found in calls:
        if found:
            values = np.sort(np.concatenate(found)) * 1000
            shares = np.arange(1, len(values) + 1) / len(values)
            axes.step(values, shares, where="post", color=colour(place), label=one.name)
    for share in (0.5, 0.95, 0.99):
        axes.axhline(share, color="grey", linestyle="--", linewidth=0.7)
    axes.set(xlabel="time of a call with one text (ms, logarithmic)", ylabel="share of calls")
    logarithmic(axes)
    axes.legend(fontsize=7)
    return figure


def memory(ones: list[Contestant]) -> Drawing | None:
    """Draw the peak of each phase as a table of colours, with the figures in it."""
    held = {key for one in ones for run in one.runs for key in run.row}
    phases = [phase for phase in PHASES if f"memory.{phase}.peak_rss_mb" in held]
    if not phases:
        return None
    values = np.array([[peak(one, phase) for phase in phases] for one in ones])
    names = [phase.replace("_", " ") for phase in phases]
    figure, axes = canvas(1.6 + 0.75 * len(phases), 1.2 + 0.35 * len(ones))
    table(axes, values, [one.name for one in ones], names, "resident memory (MB)", "{:,.0f}")
    axes.set(xlabel="phase")
    return figure


def peak(one: Contestant, phase: str) -> float:
    """Return the most that a phase held, the median over runs; NaN where none was sampled in it."""
    found = [run.row.get(f"memory.{phase}.peak_rss_mb") for run in one.runs]
    return float(np.median([value for value in found if value is not None] or [np.nan]))


def by_class(found: classes.Scored) -> Drawing:
    """Draw F1 of each class as a table of colours."""
    figure, axes = canvas(2.8 + 0.7 * len(found.names), 1.2 + 0.24 * len(found.classes))
    table(axes, found.f1.T, found.classes, found.names, "F1", "{:.2f}", highest=1.0)
    axes.set(ylabel=f"{found.kind} (rows of the test split)")
    return figure


def confusion(found: classes.Scored) -> Drawing | None:
    """Draw the confusion of each that competes, side by side: rows are true classes, and add up to 1."""
    if found.confusion is None:
        return None
    across = min(3, len(found.names))
    down = -(-len(found.names) // across)
    side, names = max(3.0, 0.17 * len(found.classes)), [short(name) for name in found.classes]
    figure = Drawing(figsize=(side * across + 2, side * down + 2), layout="constrained")
    for place, (name, matrix) in enumerate(zip(found.names, found.confusion, strict=True)):
        axes = figure.add_subplot(down, across, place + 1)
        drawn = axes.imshow(matrix, cmap=MAP, vmin=0, vmax=1)
        axes.set(title=name, xlabel="predicted class", ylabel="" if place % across else "true class (rows)")
        axes.set_xticks(range(len(names)), names, rotation=90, fontsize=6)
        axes.set_yticks(range(len(names)), names if place % across == 0 else [""] * len(names), fontsize=6)
        axes.grid(False)
    figure.colorbar(drawn, ax=figure.axes, shrink=0.6, label="share of the true class's rows")
    return figure


def confused(found: classes.Scored) -> Drawing | None:
    """Draw the pairs of classes that are most often confused as a table of colours."""
    if found.confusion is None or not (pairs := classes.most_confused(found, PAIRS)):
        return None
    figure, axes = canvas(4.8 + 0.7 * len(found.names), 1.2 + 0.24 * len(pairs))
    values = np.array([[matrix[pair] for matrix in found.confusion] for pair in pairs])
    names = [f"{short(found.classes[true])} → {short(found.classes[said])}" for true, said in pairs]
    table(axes, values, names, found.names, "share of the true class's rows", "{:.2f}")
    axes.set(ylabel="true class (its test rows) → what is said")
    return figure


def short(name: str) -> str:
    """Return a class's name, with its rows behind it, cut to what fits."""
    words, bracket, rows = name.rpartition(" (")
    return name if len(words) <= LETTERS else f"{words[: LETTERS - 1]}…{bracket}{rows}"


def numbers(ones: list[Contestant]) -> Drawing | None:
    """Draw predicted numbers against true ones, side by side for each that competes."""
    if not (held := classes.predicted(ones)):
        return None
    across = min(3, len(held))
    down = -(-len(held) // across)
    figure = Drawing(figsize=(3.2 * across, 3.2 * down), layout="constrained")
    for place, one in enumerate(held):
        read = [run.predictions() for run in one.runs]
        true, said = read[0][0], np.mean([answers for _, answers in read], 0)
        axes = figure.add_subplot(down, across, place + 1)
        axes.scatter(true, said, s=6, alpha=0.5, color=colour(place))
        axes.axline((float(true.mean()),) * 2, slope=1, color="grey", linestyle="--", linewidth=0.8)
        axes.set(title=one.name, xlabel="true", ylabel="predicted")
    return figure


def table(
    axes: Axes, values: np.ndarray, rows: list[str], columns: list[str], label: str, form: str, highest: float = np.nan
) -> None:
    """Draw a table of colours with its figures written in it."""
    top = np.nanmax([highest, np.nanmax(values)])
    drawn = axes.imshow(values, cmap=MAP, vmin=0, vmax=top, aspect="auto")
    axes.set_xticks(range(len(columns)), columns, rotation=40, ha="right")
    axes.set_yticks(range(len(rows)), rows)
    axes.grid(False)
    for (row, column), value in np.ndenumerate(values):
        if not np.isnan(value):
            ink = "black" if value > 0.55 * top else "white"
            axes.text(column, row, form.format(value), ha="center", va="center", color=ink, fontsize=7)
    axes.figure.colorbar(drawn, ax=axes, label=label)
