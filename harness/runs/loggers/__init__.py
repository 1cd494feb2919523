"""Where a run can be watched: its steps, memory and valid figures, under the same names whatever the library.

Each module here is a program, run in the environment of its name (the core's where there is none of it) with the
run's working folder and the folder of all results. It reads one JSON object a line from standard input: first
{"name": of the run, "about": {key: value}}, then {"step": 20, "time": seconds since the epoch, "values":
{"train/loss": 0.7}}, at last {"status": "finished"}. outputs/README.md lists the names.
"""

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from harness.base import environments, progress
from harness.base.home import ROOT
from harness.base.output import UTF_8
from harness.runs.events import Event
from harness.runs.row import Row

PATIENCE = 30.0  # seconds that a logger has to write what is left


class Loggers:
    """The loggers of one run. One that fails is told and let go: the run is worth more than its picture.

    `rows` is how many rows all steps together train on; `about` says what the run is.
    """

    def __init__(
        self, chosen: Sequence[str], folder: Path, outputs: Path, name: str, rows: int, about: Mapping[str, Any]
    ):
        self.rows, self.last = rows, (0, time.time())  # step and time of the last report
        self.resident: int | None = None
        self.loggers = [Logger(logger, folder, outputs) for logger in chosen]
        self._send({"name": name, "about": about})

    def take(self, event: Event) -> None:
        """Pass on what a step of the worker reported."""
        if event["event"] == "phase_start" and event["name"] == "train":
            self.last = (0, event["time"])
        if event["event"] != "step":
            return
        (before, then), (step, now) = self.last, (event["step"], event["time"])
        self.last = (step, now)
        values = {
            "train/loss": event.get("loss"),
            "train/learning_rate": event.get("learning_rate"),
            "train/gradient_norm": event.get("grad_norm"),
            "memory/rss_mb": self.resident and round(self.resident / 1e6, 1),
        }
        if step > before and now > then:
            values["train/samples_per_second"] = (step - before) / event["steps"] * self.rows / (now - then)
        self._values(step, now, values)

    def close(self, row: Row) -> None:
        """Pass on the valid figures and the status of the run's row, and wait until all is written."""
        figures = {key: value for key, value in row.items() if key.startswith("valid.") and isinstance(value, float)}
        self._values(self.last[0], time.time(), {key.replace(".", "/", 1): value for key, value in figures.items()})
        self._send({"status": row["status"]})
        for logger in self.loggers:
            logger.close()

    def _values(self, step: int, when: float, values: dict[str, float | None]) -> None:
        known = {name: value for name, value in values.items() if value is not None}
        if known:
            self._send({"step": step, "time": when, "values": known})

    def _send(self, record: Mapping[str, Any]) -> None:
        for logger in self.loggers:
            logger.records.put((json.dumps(record, default=str) + "\n").encode())


class Logger:
    """One logger's process. It ends when its standard input does, so none outlives us."""

    def __init__(self, name: str, folder: Path, outputs: Path):
        python = environments.ensure(name).python if name in environments.names() else sys.executable
        self.name, self.log = name, folder / f"logger_{name}.txt"
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [str(python), "-m", f"harness.runs.loggers.{name}", str(folder), str(outputs)],
                cwd=ROOT,
                env={**os.environ, **UTF_8},
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for us: it is to write what it has got
            )
        self.records: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self.writer = threading.Thread(target=self._write, daemon=True)  # one that hangs must not hold up the run
        self.writer.start()

    def close(self) -> None:
        """Wait until it has written all, for `PATIENCE` seconds; say so when it failed."""
        self.records.put(None)
        try:
            failed = self.process.wait(PATIENCE) != 0
        except subprocess.TimeoutExpired:
            failed = True
            self.process.kill()
            self.process.wait()
        if failed:
            lines = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            said = f": {lines[-1]}" if lines else ", and said nothing"
            progress.say(f"logger={self.name} did not write all{said}")
        else:
            self.log.unlink()

    def _write(self) -> None:
        with suppress(OSError):  # it has ended: told when we close
            while record := self.records.get():
                self.process.stdin.write(record)  # type: ignore[union-attr]
                self.process.stdin.flush()  # type: ignore[union-attr]
        with suppress(OSError):
            self.process.stdin.close()  # type: ignore[union-attr]
