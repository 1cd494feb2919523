"""What has become of each run of a sweep, seen from its files and locks alone: from any process, on any machine."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

from harness.runs import events, store
from harness.runs.row import Row
from harness.sweeps.record import Record, Run, as_told, is_at_work


@dataclass
class Seen:
    """A run and its status: that of its row, or running, broken off, waiting, not started, refused.

    A running one has come to `step` of `steps` in `phase`, `seconds` after its start; `pace` is seconds a step.
    """

    run: Run
    status: str
    row: Row | None = None
    earlier: bool = False  # it had ended before the sweep was started, this time
    phase: str = ""
    step: int = 0
    steps: int = 0
    seconds: float = 0.0
    pace: float | None = None

    @property
    def ended(self) -> bool:
        return self.row is not None or self.status == "refused"

    @property
    def todo(self) -> bool:
        """Tell whether the sweep, started now, would do it."""
        return self.status not in ("finished", "refused") or (self.run.again and self.status == "finished")

    @property
    def reason(self) -> str:
        text = self.row.reason if self.row else self.run.reason
        return (text or "").splitlines()[0] if text else ""


def look(folder: Path) -> list[Seen]:
    """Look at every run of the sweep in a folder."""
    record, since, waiting = Record.read(folder), (folder / "sweep.json").stat().st_mtime, is_at_work(folder)
    return [look_at(as_told(run, folder), folder.parent.parent, since, waiting) for run in record.runs]


def look_at(run: Run, outputs: Path, since: float, waiting: bool) -> Seen:
    """Look at one run. What failed before the time `since` is still to be done."""
    if run.folder is None:
        return Seen(run, "refused")
    folder = Path(os.path.normpath(outputs / run.folder))
    if store.in_work(folder):
        return running(run, store.in_progress(folder))
    ended = store.latest(folder)
    if ended and ended[1] >= since:
        return Seen(run, ended[0].status, ended[0])
    if (row := store.finished(folder)) and not (run.again and waiting):
        return Seen(run, "finished", row, earlier=True)
    work = store.in_progress(folder)
    if work.exists() and (work.stat().st_mtime >= since or not waiting):
        return Seen(run, "broken off")
    if waiting:
        return Seen(run, "waiting")
    return Seen(run, "not started")


def running(run: Run, work: Path) -> Seen:
    """Say how far a run is, from the events of its worker."""
    seen, now, start, before = Seen(run, "running"), time.time(), None, 0
    for event in events.read(work / "events.jsonl"):
        start = start or event["time"]
        if event["event"] == "phase_start":
            seen.phase, began = event["name"], event["time"]
        elif event["event"] == "resumed":
            before = event["step"]  # those were done by an attempt before this one
        elif event["event"] == "step":
            seen.step, seen.steps = event["step"], event["steps"]
            seen.pace = (event["time"] - began) / max(1, seen.step - before)
    seen.seconds = now - start if start else 0.0
    return seen
