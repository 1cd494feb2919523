"""How a worker ended, and what it reported until then."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from harness.base import progress
from harness.runs.events import Event

Judge = Callable[[Event], str | None]  # an event of the worker -> why the run is to end, if it is


@dataclass
class Outcome:
    """How the worker ended and what it reported."""

    status: str = "finished"
    reason: str | None = None
    log: Path | None = None  # of a tool that failed before the worker started
    phases: dict[str, dict[str, float]] = field(default_factory=dict)  # name -> seconds, cpu_seconds
    steps: int | None = None
    train_start: float = 0.0  # seconds since the epoch
    reported: list[tuple[int, float]] = field(default_factory=list)  # steps of the phase train, and when each was told
    compiled: Event | None = None  # while training: its seconds, and for how many shapes the step was
    worker_seconds: float | None = None
    parameters: int | None = None
    resources: dict[str, Event] = field(default_factory=dict)  # by action: what its process used, in bytes
    epochs: list[tuple[float, str]] = field(default_factory=list)  # of measure.target: when one ended, its predictions
    evaluating: float = 0.0  # seconds that these predictions took
    reload_max_difference: float | None = None
    started: float = 0.0  # when the last process was, in seconds since the epoch
    peak_gflops: float | None = None  # of a matrix product, on one device
    cold_start: float | None = None  # seconds from there to the first prediction of the saved model
    quiet: Mapping[str, float | bool | None] = field(default_factory=dict)  # of a run that finished
    drawn: dict[str, Event] = field(default_factory=dict)  # by split: of its texts, how many were cut on a page, …
    phase: str | None = None
    errors: dict[int, Event] = field(default_factory=dict)  # by rank, as they came
    ended: dict[int, int] = field(default_factory=dict)  # by rank: exit codes of several processes, if one ended badly
    log_name: str = "log.txt"
    resumed: tuple[int, float] | None = None  # the step it went on from, and the seconds of training before
    machines: int = 1
    transient: bool = False  # it may well end otherwise when tried again
    judge: Judge | None = None
    verdict: tuple[str, str] | None = None  # status and reason, where the judge ends the run

    @property
    def error(self) -> Event | None:
        """The first error: of several processes, the others fail for want of that one."""
        return next(iter(self.errors.values()), None)

    @property
    def error_type(self) -> str | None:
        """The name of the first error's class."""
        return self.error["type"] if self.error else None

    def take(self, event: Event) -> None:
        """Take in one event of the worker."""
        if self.judge and (reason := self.judge(event)):
            self.verdict = ("pruned", reason)
        kind = event["event"]
        if kind == "phase_start":
            self.phase = event["name"]
            if self.phase == "train":
                self.train_start = event["time"]
        elif kind == "phase_end":
            self.phases[event["name"]] = {
                "seconds": round(event["seconds"], 3),
                "cpu_seconds": round(event["cpu_seconds"], 3),
            }
            self.phase = None
        elif kind == "step":
            self.steps = event["step"]
            if self.phase == "train":
                self.reported.append((event["step"], event["time"]))
        elif kind == "epoch":
            self.epochs.append((event["time"], event["file"]))
            self.evaluating += event["seconds"]
        elif kind == "compiled":
            self.compiled = event
        elif kind == "model":
            self.parameters = event["parameters"]
        elif kind == "drawn":
            self.drawn[event["split"]] = event
            self.tell_drawn(event)
        elif kind == "first_prediction":
            self.cold_start = round(event["time"] - self.started, 3)
        elif kind == "peak":
            self.peak_gflops = event["gflops"]
        elif kind == "resources":
            self.resources[event["action"]] = event
        elif kind == "reloaded":
            self.reload_max_difference = event["max_difference"]
        elif kind == "checkpoint_refused":
            progress.say(f"the checkpoint of step {event['step']} is left out: {event['reason']}")
        elif kind == "resumed":
            self.resumed = event["step"], event["seconds"]
            progress.say(f"going on from the checkpoint of step {event['step']}")
        elif kind == "anew":
            progress.say(f"training starts from the beginning: {event['reason']}")
        elif kind == "waiting":
            progress.say(f"waiting for {event['what']} for {event['seconds']:.0f} s now")
        elif kind == "error":
            self.errors.setdefault(event.get("rank", 0), event)
        elif kind == "ended":
            self.ended[event["rank"]] = event["exit_code"]

    @staticmethod
    def tell_drawn(event: Event) -> None:
        """Say how many of the texts that were drawn are not as they should be."""
        place = f"{event['split']}: " if event.get("split") else ""
        for key, what in (
            ("cut", "do not fit on the page and are cut (recipe.height, recipe.width, recipe.font_size)"),
            ("boxed", "have characters that the font lacks, which are boxes (recipe.font=FILE)"),
        ):
            if event[key]:  # type: ignore[literal-required]
                progress.say(f"{place}{event[key]:,} of {event['texts']:,} texts {what}")  # type: ignore[literal-required]

    def end(self, status: str, reason: str) -> None:
        """Record that the run did not end well; the first reason stands."""
        if self.status == "finished":
            self.status, self.reason = status, reason
