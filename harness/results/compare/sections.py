"""The analysis in words and tables, the same for the terminal, Markdown, LaTeX and HTML."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from harness.results.compare import rules
from harness.results.compare.analysis import RATIOS, Analysis, Contestant, Figure, Pair
from harness.results.compare.statistics import LEVEL, OF_ORDER, POWER, Interval

ORDERED = 0.2  # below it, one is called almost stochastically larger (Ulmer et al. 2022)
HOW = (
    "Quality is the mean over seeds with its 95% interval by Student's t: seeds are few, and t accounts for a spread "
    "that is estimated from so few. Times and memory are medians over runs."
)
PAIRS = (
    "Differences of test {} on the same seeds and test rows; the 95% interval counts what both scatter, p is "
    f"Holm's, over all pairs, and a difference is shown where it is below {LEVEL}. ε: how far the better one may be "
    f"from being stochastically larger (0: it is; below {ORDERED}: almost; 0.5: no order), of {OF_ORDER} runs or more. "
    "What would have been shown is told for the strictest of Holm's levels."
)
ALONE = "No two that compete have two seeds in common, so nothing can be said of their differences: run them with more."


@dataclass
class Table:
    """Cells as they are read; `text`: the columns that are words."""

    title: str
    head: list[str]
    rows: list[list[str]]
    text: set[int] = field(default_factory=lambda: {0})
    note: str = ""


@dataclass
class Picture:
    """A picture, in both forms, and a sentence that says what one sees and where it was measured."""

    name: str
    caption: str
    svg: bytes
    png: bytes


@dataclass
class Section:
    title: str
    tables: list[Table] = field(default_factory=list)
    notes: dict[str, list[str]] = field(default_factory=dict)  # by heading
    pictures: list[Picture] = field(default_factory=list)
    folded: list[Table] = field(default_factory=list)  # what went wrong, for the HTML report alone: it quotes texts
    files: list[tuple[str, str]] = field(default_factory=list)  # of pictures: path from the page, and caption


def section(analysis: Analysis, runs: int) -> Section:
    """Return what there is to say of a group."""
    apart = {"Left apart": [str(one) for one in analysis.apart]} if analysis.apart else {}
    notes = {**apart, "Rules": rules.said(analysis, runs)}
    made = Section(analysis.title, [figures(analysis, runs)], notes)
    if analysis.pairs:
        made.tables += [differences(analysis), *ratios(analysis.pairs)]
    return made


def figures(analysis: Analysis, runs: int) -> Table:
    """Return the table of all that compete, in the order of their figures on valid."""
    head = ["", "runs", *(titled(one) for one in analysis.figures)]
    rows = []
    for one in analysis.contestants:
        number = f"{len(one.runs)}{'*' if rules.few(one, runs) else ''}"
        without = {"failed": one.failed, "interrupted": one.interrupted}
        counted = " + ".join([number, *(f"{len(some)} {what}" for what, some in without.items() if some)])
        rows.append([one.name, counted, *(cell(one, figure) for figure in analysis.figures)])
    return Table("What they reach, and what it takes", head, rows, note=HOW)


def titled(figure: Figure) -> str:
    return f"{figure.name} {figure.unit}".strip()


def cell(one: Contestant, figure: Figure) -> str:
    found = one.summary(figure)
    return ranged(found, figure.digits) if found else "–"


def ranged(found: Interval, digits: int) -> str:
    """Return a figure with its interval, if it has one."""
    text = f"{found.value:,.{digits}f}"
    return text if math.isnan(found.low) else f"{text} [{found.low:,.{digits}f}, {found.high:,.{digits}f}]"


def differences(analysis: Analysis) -> Table:
    """Return the table of all pairs; where no difference is shown it says so, and what could have been shown."""
    pairs, head = analysis.pairs or [], ["", "seeds", "difference", "p", "ε", "that is"]
    if not any(pair.difference.tested for pair in pairs):
        return Table("Who is better", head, [], {0, 5}, ALONE)
    level = analysis.smallest_level
    rows = [[f"{pair.ours} – {pair.others}", str(pair.difference.seeds), *told(pair, level)] for pair in pairs]
    return Table("Who is better", head, rows, {0, 5}, PAIRS.format(analysis.group.metrics.primary_name))


def told(pair: Pair, level: float) -> list[str]:
    """Return the cells of a pair."""
    found = pair.difference
    if not found.tested:
        return ["–", "–", "–", "not tested: that takes two seeds that both have"]
    if pair.shown:
        verdict = f"{pair.better} is better"
    else:
        smallest = found.smallest(level)
        verdict = f"no difference shown; {smallest:.3f} would have been, {POWER:.0%} of the time" if smallest else (
            "no difference: the same predictions"
        )  # fmt: skip
    p = f"{pair.corrected:.3f}" if pair.corrected >= 0.001 else "<0.001"
    order = f"takes {OF_ORDER} runs" if math.isnan(pair.order) else f"{pair.order:.2f}"
    return [f"{found.value:+.3f} [{found.low:+.3f}, {found.high:+.3f}]", p, order, verdict]


def ratios(pairs: Iterable[Pair]) -> list[Table]:
    """Return the table of the ratios of times and memory, if there are any."""
    chosen = [figure for figure in RATIOS if any(figure.key in pair.ratios for pair in pairs)]
    rows = [
        [f"{pair.ours} / {pair.others}",
         *(ranged(pair.ratios[one.key], 2) if one.key in pair.ratios else "–" for one in chosen)]
        for pair in pairs
    ]  # fmt: skip
    note = "Ratios of medians over runs, with a 95% bootstrap interval over the runs of both; all of one machine."
    table = Table("How much longer, how much more", ["", *(one.name for one in chosen)], rows, note=note)
    return [table] if chosen else []
