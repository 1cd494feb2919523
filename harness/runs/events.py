"""What a worker reports while it works: events.jsonl, a JSON object a line (recipes/contract/job.py writes them)."""

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, TypedDict


class Always(TypedDict):
    event: str  # its kind
    time: float  # seconds since the epoch


class Event(Always, total=False):
    """One report; which keys it has is by its kind."""

    # phase_start, phase_end, epoch, resumed, waiting, compiled
    name: str
    seconds: float
    cpu_seconds: float
    file: str
    what: str
    shapes: int
    # step, checkpoint, checkpoint_refused, resumed, anew
    step: int
    steps: int
    loss: float | None
    learning_rate: float | None
    grad_norm: float | None
    reason: str
    # rows, batch_size
    done: int
    of: int
    texts: int
    # drawn
    split: str
    cut: int
    boxed: int
    # error, ended
    rank: int
    type: str
    message: str
    out_of_memory: bool
    exit_code: int
    # resources, model, peak, reloaded
    action: str
    peak_rss: int  # bytes
    gpu_allocated_peak: int | None  # bytes
    matmul_precision: str | None
    parameters: int
    gflops: float | None
    max_difference: float


def read(path: Path) -> Iterator[Event]:
    """Yield the events of a file that are whole; none of a run that has not begun, or that has just ended."""
    with suppress(OSError), open(path, encoding="utf-8") as events:
        yield from new(events)


def new(events: IO[str]) -> Iterator[Event]:
    """Yield the events that are whole and new; one that is being written is left for the next time."""
    while True:
        position = events.tell()
        line = events.readline()
        if not line.endswith("\n"):
            events.seek(position)
            return
        with suppress(json.JSONDecodeError):  # a line that a full disk cut short
            yield json.loads(line)
