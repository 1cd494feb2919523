"""Predict with a finished run's model: texts go to its worker in chunks, and logits come back.

The library is started once. A chunk is a folder of flat files, as a split is; the worker writes its logits beside it
when they are whole. Two chunks are under way at most, so memory is bounded, however many texts there are.
"""

import contextlib
import itertools
import shutil
import time
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from subprocess import Popen

import numpy as np

from harness.base import home
from harness.base.errors import UserError
from harness.inputs.data import tokens
from harness.inputs.data.cells import empty
from harness.inputs.data.kinds import images
from harness.runs import store
from harness.runs.launch import diagnose, follow, worker
from harness.runs.outcome import Outcome
from harness.use.saved import Saved
from recipes.contract.ragged import Ragged
from recipes.contract.split import PICTURES

CHUNK = 512  # rows predicted at a time, eight whole batches of the worker: what a kill loses, and what memory holds
AHEAD = 2  # chunks the worker has: one it is at, one that is ready


@contextlib.contextmanager
def predictor(run: Saved, scratch: Path) -> Iterator["Predictor"]:
    """Start the run's worker, in a folder that is not there yet or empty; it ends with the block."""
    (scratch / "chunks").mkdir(parents=True)
    (scratch / "model").symlink_to(run.model)
    store.write_json(scratch / "job.json", {**run.job, "weights": None, "splits": {}})  # the model alone
    with worker(scratch, run.environment().python, "predict", run.threads) as process:
        yield Predictor(run, scratch, process)


class Predictor:
    """A worker that has the model loaded."""

    def __init__(self, run: Saved, scratch: Path, process: Popen[bytes]):
        self.run, self.scratch, self.process, self.classes = run, scratch, process, len(run.job["labels"])
        self.length, self.encoder = 0, None
        if run.tokenizer:
            path, self.length = run.tokenizer
            self.encoder = tokens.load(path, self.length)

    def logits(self, chunks: Iterable[list[str]]) -> Iterator[np.ndarray]:
        """Yield the logits of each chunk, float32 (rows, classes); those of an empty text are no numbers (nan).

        With a recipe that takes pictures, a text that is the path of one means that.
        """
        numbers, under_way = itertools.count(), deque[tuple[int, np.ndarray]]()
        for texts in chunks:
            full = [text for text in texts if not empty(text)]
            number = next(numbers) if full else -1
            if full:
                self.give(number, full)
            under_way.append((number, np.array([not empty(text) for text in texts], bool)))
            if len(under_way) == AHEAD:
                yield self.take(*under_way.popleft())
        while under_way:
            yield self.take(*under_way.popleft())

    def give(self, number: int, texts: list[str]) -> None:
        """Lay a chunk down for the worker."""
        part, rows = self.scratch / "part", [text.encode() for text in texts]
        part.mkdir()
        (part / "texts.values.bin").write_bytes(b"".join(rows))
        np.cumsum([0, *map(len, rows)], dtype=np.int64).tofile(part / "texts.offsets.bin")
        np.arange(1, len(rows) + 1, dtype=np.int64).tofile(part / "row_ids.bin")
        if self.run.takes_pictures:
            files = [read(Path(text)) for text in texts]
            Ragged.of([np.frombuffer(file, np.uint8) for file in files]).write(part, PICTURES)
        if self.encoder:
            tokens.write(self.encoder, part, self.length, part)
        part.rename(self.scratch / "chunks" / str(number))

    def take(self, number: int, full: np.ndarray) -> np.ndarray:
        """Wait for the logits of a chunk, the texts that are `full`, and clear it away."""
        logits = np.full((len(full), self.classes), np.nan, np.float32)
        if not full.any():
            return logits
        folder = self.scratch / "chunks" / str(number)
        done = folder.with_suffix(".npy")
        while not done.exists():
            if self.process.poll() is not None:
                raise failure(self.process, self.scratch, "nothing was predicted")
            time.sleep(0.005)
        found = np.load(done)
        if found.shape[1] != self.classes:
            raise UserError(f"the model has {found.shape[1]} classes, and its job.json names {self.classes} labels.")
        logits[full] = found
        shutil.rmtree(folder)
        done.unlink()
        return logits


def read(path: Path) -> bytes:
    """Return the bytes of a picture's file; none for what is the path of no picture."""
    return path.read_bytes() if images.is_picture(path) else b""


def failure(process: Popen[bytes], scratch: Path, what: str) -> UserError:
    """Say why a worker ended; its log is kept where it outlives its folder."""
    outcome = Outcome()
    with open(scratch / "events.jsonl", "a+", encoding="utf-8") as events:
        events.seek(0)
        follow(events, outcome)
    reason = diagnose(process.returncode, outcome, scratch)[1]
    log = home.new_log("use")
    shutil.copyfile(scratch / "log.txt", log)
    return UserError(f"{what}: {reason}", log=log)
