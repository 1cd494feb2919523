"""One run, from the configuration to its result: it is prepared, tried, and its row shown and kept."""

import contextlib
import copy
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from harness.base import progress
from harness.figures import row as rows
from harness.figures import summary
from harness.runs import store
from harness.runs.attempt import attempt
from harness.runs.identity import edited_since
from harness.runs.launch import Judge, Outcome
from harness.runs.prepare import Prepared, prepare

Show = Callable[[dict[str, Any], Path], None]


def run(config: dict[str, Any], command: str, show: Show = summary.show, judge: Judge | None = None) -> dict[str, Any]:
    """Do the run that `config` describes, unless it is finished already; show its row and folder, return the row."""
    prepared = prepare(config)
    folder = store.directory(Path(config["outputs"]), prepared.identity)
    with store.claimed(folder):
        row = store.finished(folder)
        if row and not config["rerun"]:
            where = " (on all machines: they train together)" if prepared.placed.machines > 1 else ""
            progress.say(f"finished already; rerun=true runs it again{where}")
        else:
            begun = folder.exists() or store.in_progress(folder).exists()
            if not begun and (before := edited_since(folder, prepared.identity)):
                progress.say(f"the code of recipe={config['recipe']['name']} was edited since {before}: another run")
            row, folder = worked(config, prepared, folder, command, judge)
    show(row, folder)
    if row["status"] == "interrupted":
        raise KeyboardInterrupt  # a sweep ends with it
    return row


def worked(
    config: dict[str, Any], prepared: Prepared, folder: Path, command: str, judge: Judge | None
) -> tuple[dict[str, Any], Path]:
    """Do the run, again where that may help; return its row and where that is."""
    number, config, anew = 1, copy.deepcopy(config), config["rerun"]
    while True:
        attempted = attempt(config, prepared, store.working(folder, anew), number, copy.deepcopy(judge))
        if number > config["retries"] or not (how := changed(config, attempted.outcome)):
            break
        progress.say(f"{attempted.outcome.reason}; trying again{how}")
        number, anew = number + 1, False
        if attempted.loggers:
            attempted.loggers.close({"status": attempted.outcome.status})
    with uninterrupted():
        row = rows.row(config, prepared, attempted, folder, command)
        if attempted.loggers:
            attempted.loggers.close(row)
        return row, store.settle(folder, row)


def changed(config: dict[str, Any], outcome: Outcome) -> str | None:
    """Say how another attempt, which may end otherwise, is to be done; None where there is no hope in one."""
    train, halves = config["train"], config["recipe"]["pretrained"] and config["on_oom"] == "halve_batch"
    if outcome.status == "out_of_memory" and halves and train["batch_size"] % 2 == 0:
        train["batch_size"], train["accumulate"] = train["batch_size"] // 2, train["accumulate"] * 2
        return " with half the batch"
    return ", once more" if outcome.transient else None


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM wait: a result is written whole, in well under a second."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
