"""What one sees while the worker runs: a live bar on a terminal, plain lines elsewhere."""

import sys
import time

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from harness.base import progress
from harness.runs.events import Event

PHASES = {
    "import": "importing the library",
    "load_weights": "loading the weights",
    "build_data": "building batches",
    "train": "training",
    "save": "saving",
    "evaluate_valid": "predicting valid",
    "evaluate_test": "predicting test",
    "reload_import": "importing again, in a new process",
    "cold_load": "loading the saved model",
    "first_prediction": "predicting one text",
    "inference": "predicting again",
    "peak": "timing a matrix product",
}
PLAIN_EVERY = 10.0  # seconds between two lines where there is no terminal


class Display:
    """Shows the worker's events as they come."""

    def __init__(self) -> None:
        self.live: Progress | None = None
        self.printed = 0.0

    def __enter__(self) -> "Display":
        if sys.stderr.isatty():
            text, step = TextColumn("{task.description}"), TextColumn("{task.fields[step]}")
            self.live = Progress(
                text, BarColumn(), TimeElapsedColumn(), step, console=Console(stderr=True), transient=True
            )
            self.live.start()
            self.task = self.live.add_task("starting", total=None, step="")
        return self

    def __exit__(self, *_: object) -> None:
        if self.live:
            self.live.stop()

    def take(self, event: Event) -> None:
        if event["event"] == "phase_start" and event["name"] != "measure":  # each of its batch sizes is told
            self._phase(PHASES.get(event["name"], event["name"]))
        elif event["event"] == "step":
            self._step(event)
        elif event["event"] == "rows":
            self._show(event["done"], event["of"], f"{event['done']:,} of {event['of']:,} rows")
        elif event["event"] == "batch_size":
            texts = event["texts"]
            self._phase(
                f"timing predictions, {texts} texts at a time" if texts > 1 else "timing predictions of one text"
            )

    def _phase(self, text: str) -> None:
        self.first: tuple[int, float] | None = None  # step and time: a run that goes on does not begin with step 1
        if self.live:
            self.live.remove_task(self.task)
            self.task = self.live.add_task(text, total=None, step="")
        else:
            progress.say(f"{text} …")
            self.printed = time.monotonic()

    def _step(self, event: Event) -> None:
        step, steps, loss, now = event["step"], event["steps"], event.get("loss"), time.monotonic()
        first, start = self.first = self.first or (step, now)
        shown = f"step {step}/{steps}" + (f"  loss {loss:.3f}" if loss is not None else "")
        if step > first:
            shown += f"  {(now - start) / (step - first) * (steps - step):.0f} s left"
        self._show(step, steps, shown)

    def _show(self, done: int, of: int, text: str) -> None:
        if self.live:
            self.live.update(self.task, completed=done, total=of, step=text)
        elif done < of and time.monotonic() - self.printed > PLAIN_EVERY:
            self.printed = time.monotonic()
            progress.say(f"  {text}")
