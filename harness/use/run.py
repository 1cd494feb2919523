"""One run, from the configuration to its result: it is prepared, tried, and its row shown and kept."""

import contextlib
import copy
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from harness.base import progress
from harness.config.settings import OnOom, Settings
from harness.figures import row as rows
from harness.figures import summary
from harness.runs import store
from harness.runs.attempt import attempt
from harness.runs.outcome import Judge, Outcome
from harness.runs.prepare import Prepared, prepare
from harness.runs.row import Row
from harness.use import saved

Show = Callable[[Row, Path], None]


def run(settings: Settings, command: str, show: Show = summary.show, judge: Judge | None = None) -> Row:
    """Do the run that is asked for, unless it is finished already; show its row and folder, return the row."""
    prepared = prepare(settings)
    folder = prepared.directory
    with store.claimed(folder):
        row = store.finished(folder)
        if row and not settings.rerun:
            where = " (on all machines: they train together)" if prepared.placed.machines > 1 else ""
            progress.say(f"finished already; rerun=true runs it again{where}")
        else:
            begun = folder.exists() or store.in_progress(folder).exists()
            if not begun and (before := prepared.identity.edited_since(folder)):
                progress.say(f"the code of recipe={settings.recipe.name} was edited since {before}: another run")
            row, folder = worked(prepared, folder, command, judge)
    show(row, folder)
    if row.status == "interrupted":
        raise KeyboardInterrupt  # a sweep ends with it
    return row


def worked(prepared: Prepared, folder: Path, command: str, judge: Judge | None) -> tuple[Row, Path]:
    """Do the run, again where that may help; return its row and where that is."""
    number, anew, retries = 1, prepared.settings.rerun, prepared.settings.retries
    while True:
        attempted = attempt(prepared, store.working(folder, anew), number, copy.deepcopy(judge))
        if number > retries or not (again := another(prepared.settings, attempted.outcome)):
            break
        progress.say(f"{attempted.outcome.reason}; trying again{again.how}")
        prepared, number, anew = replace(prepared, settings=again.settings), number + 1, False
        if attempted.loggers:
            attempted.loggers.close(Row({"status": attempted.outcome.status}))
    with uninterrupted():
        row = rows.row(prepared, attempted, folder, command)
        if row.finished and prepared.placed.first:
            from harness.use import card  # what has its intervals takes half a second to import

            card.write(saved.of(attempted.working, row))
        if attempted.loggers:
            attempted.loggers.close(row)
        return row, store.settle(folder, row)


class Again(NamedTuple):
    """Another attempt, which may end otherwise: its settings, and how it is done, in words."""

    settings: Settings
    how: str


def another(settings: Settings, outcome: Outcome) -> Again | None:
    """Return how another attempt is to be done; None where there is no hope in one."""
    train, halves = settings.train, settings.recipe.by_epochs and settings.on_oom == OnOom.halve_batch
    if outcome.status == "out_of_memory" and halves and train.batch_size % 2 == 0:
        half = replace(train, batch_size=train.batch_size // 2, accumulate=train.accumulate * 2)
        return Again(replace(settings, train=half), " with half the batch")
    return Again(settings, ", once more") if outcome.transient else None


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM wait: a result is written whole, in well under a second."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
