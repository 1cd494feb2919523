"""The same results now and then: what got worse, slower or larger beyond noise.

Earlier results are those of a folder, or of outputs/reference at a revision of git. What is compared shares all that a
group shares, the machine too, and its name.
"""

import atexit
import io
import subprocess
import tempfile
import zipfile
from pathlib import Path

import numpy as np

from harness.base.errors import UserError
from harness.base.home import ROOT
from harness.figures.metrics import Metrics
from harness.results.compare import statistics
from harness.results.compare.analysis import (
    RATIOS,
    Analysis,
    Contestant,
    difference,
    paired,
    predictions_scored,
    ratios,
)
from harness.results.compare.sections import Section, Table, ranged
from harness.results.compare.statistics import LEVEL, Difference, Interval
from harness.results.contestants import differences
from harness.results.reading import REFERENCE, Result, read

GROWN = {
    "train.seconds": "slower to train",
    "inference.batch1.p50_ms": "slower to answer",
    "memory.peak_rss_mb": "larger",
}
SHRUNK = {
    "train.seconds": "faster to train",
    "inference.batch1.p50_ms": "faster to answer",
    "memory.peak_rss_mb": "smaller",
}
NOTE = (
    "Now against then: test {} as the difference on the seeds that both have (p by Holm, over all lines), times and "
    "memory as ratios of medians; 95% intervals. Marked is what lies beyond them."
)


def earlier(place: str) -> list[Result]:
    """Return the results of a folder, or of outputs/reference at a revision."""
    if (folder := Path(place)).is_dir():
        return read(folder)
    kept = tempfile.TemporaryDirectory(prefix="finetune-recipes-")
    where = REFERENCE.relative_to(ROOT)
    command = ["git", "-C", str(ROOT), "archive", "--format=zip", "--end-of-options", place, str(where)]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise UserError(f"--against {place}: neither a folder nor a revision with {where} ({''.join(said)}).", code=2)
    with zipfile.ZipFile(io.BytesIO(done.stdout)) as archive:  # its members cannot leave the folder, nor be links
        archive.extractall(kept.name)
    found = read(Path(kept.name) / where)
    atexit.register(kept.cleanup)
    return found


def compared(now: list[Analysis], then: list[Analysis]) -> list[Section]:
    """Return what changed in each group that both have."""
    before = {(analysis.group, one.name): one for analysis in then for one in analysis.contestants if one.runs}
    made = []
    for analysis in now:
        ones = [one for one in analysis.contestants if one.runs]
        both = [(one, before[analysis.group, one.name]) for one in ones if (analysis.group, one.name) in before]
        if both:
            notes = {"Not there then": unknown(ones, both), "What else is not as it was then": otherwise(both)}
            made.append(Section(analysis.title, [changes(both)], notes))
    if not made:
        raise UserError("the earlier results have nothing that was run as these were: same data, settings and machine.")
    return made


def unknown(ones: list[Contestant], both: list[tuple[Contestant, Contestant]]) -> list[str]:
    known = {one.name for one, _ in both}
    return [", ".join(one.name for one in ones if one.name not in known) or "nothing: all were"]


def otherwise(both: list[tuple[Contestant, Contestant]]) -> list[str]:
    """Say of each what its runs are now that they were not then: settings, versions, environment, code."""
    told = [(now.name, differences(now.runs[0].row, then.runs[0].row)) for now, then in both]
    return [f"{name}: {'; '.join(what)}" for name, what in told if what] or ["nothing that is noted"]


def changes(both: list[tuple[Contestant, Contestant]]) -> Table:
    """Return the table of those that were run then and are run now."""
    metrics = both[0][0].runs[0].metrics
    found = [changed(*one) for one in both]
    tested = [one.p for one in found if one.tested]
    corrected = iter(statistics.holm(np.array(tested)))
    rows = []
    for (now, then), one in zip(both, found, strict=True):
        p = float(next(corrected)) if one.tested else np.nan
        times = ratios(now, then)
        cells = [ranged(times[figure.key], 2) if figure.key in times else "–" for figure in RATIOS]
        shown = f"{one.value:+.3f} [{one.low:+.3f}, {one.high:+.3f}]" if one.tested else "–"
        rows.append([now.name, str(one.seeds), shown, *cells, verdict(one, p, times, metrics)])
    head = ["", "seeds", f"test {metrics.primary_name}", *(f"{figure.name} now / then" for figure in RATIOS), "that is"]
    return Table("Against earlier results", head, rows, {0, len(head) - 1}, NOTE.format(metrics.primary_name))


def changed(now: Contestant, then: Contestant) -> Difference:
    """Return the difference of the primary figure on the seeds that both have."""
    runs = paired(now, then)
    both = [*runs[0], *runs[1]]
    scores = predictions_scored(both) if len(runs[0]) > 1 else None
    return difference(scores, {id(run): place for place, run in enumerate(both)}, *runs)


def verdict(found: Difference, p: float, times: dict[str, Interval], metrics: Metrics) -> str:
    """Say what changed beyond noise."""
    said = []
    if found.tested and p < LEVEL:
        said.append("WORSE" if metrics.sign * found.value < 0 else "better")
    for key, ratio in times.items():
        if ratio.low > 1:
            said.append(GROWN[key].upper())
        elif ratio.high < 1:
            said.append(SHRUNK[key])
    if not found.tested:
        said.append(f"test {metrics.primary_name} not tested: that takes two seeds that both have")
    elif not said:
        smallest = found.smallest()
        would = f"no change shown; {smallest:.3f} of test {metrics.primary_name} would have been"
        said.append(would if smallest else "the same predictions")
    return ", ".join(said)
