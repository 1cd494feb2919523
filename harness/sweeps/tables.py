"""The tables of a sweep: its plan, what runs now, and what has become of it. Plain where there is no terminal."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from rich.console import Group
from rich.text import Text

from harness.base import screen
from harness.figures.metrics import CLASSIFICATION, METRICS, of_row
from harness.runs.row import Row
from harness.sweeps import estimates
from harness.sweeps.estimates import Estimate, estimate
from harness.sweeps.look import Seen
from harness.sweeps.record import Record, Run

COLOURS = {"finished": "green", "running": "cyan", "waiting": "dim", "not started": "dim",
           "interrupted": "yellow", "broken off": "yellow"}  # fmt: skip
NAMED = 5  # runs that are named where more share a reason
AT_ONCE = {1: "one after the other", None: "as many at once as the engine has room for"}


def show(table: screen.Table, text: str) -> None:
    """Print a table and what sums it up; elsewhere than on a terminal no line is broken or coloured."""
    screen.say(screen.console(), together(table, text))


def together(table: screen.Table, text: str) -> Group:
    return Group("", table, "", screen.Lines(text))


def drawn(head: list[str], rows: Iterable[list[str | Text]]) -> screen.Table:
    return screen.Table(head, rows, {0, 1, len(head) - 1})


def quality(seen: list[Seen]) -> str:
    """Return what the figure of quality is called that stands beside each run: its task's primary, on test."""
    names = sorted({of_row(one.row).primary_name for one in seen if one.row})
    return f"test {' or '.join(names) or METRICS[CLASSIFICATION].primary_name}"


def score(row: Row | None) -> str:
    """Return the primary figure of a run on test, where it has one."""
    value = row.get(f"test.{of_row(row).primary}") if row else None
    return f"{value:.3f}" if value is not None else ""


def outcome(record: Record, seen: list[Seen]) -> screen.Table:
    """Return the table at the end of a sweep."""
    rows = []
    for one in seen:
        figures = ["", ""]
        if one.row:
            seconds = one.row["worker.seconds"]
            figures = [score(one.row), f"{seconds:.1f}" if seconds is not None else ""]
        remark = "from an earlier start" if one.earlier else one.reason
        noisy = "noisy: no timing" if one.row and one.row.get("timing") == "noisy" else ""
        rows.append([*label(record, one), *figures, ", ".join(filter(None, (remark, noisy)))])
    return drawn(["run", "status", quality(seen), "seconds", ""], rows)


def label(record: Record, one: Seen) -> list[str | Text]:
    return [" ".join(record.varying(one.run)) or "the run", Text(one.status, COLOURS.get(one.status, "red"))]


def counts(seen: list[Seen]) -> str:
    """Return how many runs have which status, in words."""
    found: dict[str, int] = {}
    for one in seen:
        found[one.status] = found.get(one.status, 0) + 1
    said = ", ".join(f"{number} {status}" for status, number in found.items())
    return f"{len(seen)} {'run' if len(seen) == 1 else 'runs'}: {said}"


def planned(record: Record, seen: list[Seen], outputs: Path) -> tuple[screen.Table, str]:
    """Return the table of a plan, and its sum in words."""
    finished, rows, guesses = estimates.finished(outputs), [], []
    todo = [one for one in seen if one.todo]
    for one in seen:
        guess = estimate(one.run, finished) if one.todo else None
        figures = ["unknown", "unknown", "no finished run is like it"] if one.todo else ["", "", ""]
        if guess:
            guesses.append(guess)
            figures = [spelled(guess.seconds), f"{guess.megabytes:,.0f} MB", guess.source]
        rows.append([*label(record, one), *figures])
    text = f"{counts(seen)}; to do: {len(todo)}"
    if guesses:
        seconds = sum(guess.seconds for guess in guesses) / (record.at_once or 1)
        how = AT_ONCE.get(record.at_once, f"{record.at_once} at once")
        text += f", about {spelled(seconds)} ({how}) and {sum(guess.megabytes for guess in guesses):,.0f} MB"
    if unknown := len(todo) - len(guesses):
        text += f"{', and' if guesses else ','} {unknown} of unknown length"
    text = "\n\n".join([*refusals(record), text])
    return drawn(["run", "status", "time", "disk", "told from"], rows), text


def refusals(record: Record) -> Iterator[str]:
    """Yield why runs cannot be started, each reason in full and once, with the runs that share it."""
    shared: dict[str, list[Run]] = {}
    for run in record.runs:
        if run.reason:
            shared.setdefault(run.reason, []).append(run)
    for reason, runs in shared.items():
        names = [" ".join(record.varying(run)) for run in runs]
        more = f", and {len(names) - NAMED} more" if len(names) > NAMED else ""
        which = f"all {len(names)} runs" if len(names) == len(record.runs) else ", ".join(names[:NAMED]) + more
        yield f"{which}: {reason}" if len(record.runs) > 1 else reason


def now(record: Record, seen: list[Seen], outputs: Path) -> tuple[screen.Table, str]:
    """Return the table of what runs now, and how long the sweep will take, in words."""
    finished, rows, lefts = estimates.finished(outputs), [], []
    for one in seen:
        guess = estimate(one.run, finished) if one.status in ("running", "waiting") else None
        left = time_left(one, guess)
        if one.status in ("running", "waiting"):
            lefts.append(left)
        progress = f"{one.step}/{one.steps} steps" if one.phase == "train" and one.steps else one.phase
        what = progress if one.status == "running" else one.reason
        shown = spelled(left) if one.status == "running" and left is not None else ""
        rows.append([*label(record, one), score(one.row), shown, what])
    known = [left for left in lefts if left is not None]
    text = counts(seen)
    if lefts and record.at_once and len(known) == len(lefts):
        text += f". About {spelled(max(sum(known) / record.at_once, max(known)))} left"
    return drawn(["run", "status", quality(seen), "left", ""], rows), text


def time_left(one: Seen, guess: Estimate | None) -> float | None:
    """Return the seconds that a run still takes: in training from its pace, else from runs like it."""
    if one.status == "waiting":
        return guess.seconds if guess else None
    if one.status != "running":
        return None
    if one.phase == "train" and one.pace is not None:
        return (one.steps - one.step) * one.pace + (guess.after if guess else 0)
    return max(0.0, guess.seconds - one.seconds) if guess else None


def spelled(seconds: float) -> str:
    """Return a duration as people say it."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
