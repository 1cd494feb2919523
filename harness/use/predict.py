"""Predict with a finished run's model: texts go to its worker in chunks, and what it gives comes back.

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
from typing import NamedTuple

import numpy as np

from harness.base import home
from harness.base.errors import UserError
from harness.figures.outputs import of_texts
from harness.inputs.data import tokens, windows
from harness.inputs.data.cells import empty
from harness.inputs.data.kinds import images
from harness.inputs.data.spans import words_of
from harness.runs import store
from harness.runs.launch import diagnose, follow, worker
from harness.runs.outcome import Outcome
from harness.use.saved import Saved
from recipes.contract.ragged import Ragged
from recipes.contract.split import PICTURES, WORDS, Split

CHUNK = 512  # rows predicted at a time, eight whole batches of the worker: what a kill loses, and what memory holds
AHEAD = 2  # chunks the worker has: one it is at, one that is ready


class Tagged(NamedTuple):
    """A text with where its words stand in it, and the logits of their tags, float32 (words, tags)."""

    text: str
    words: list[tuple[int, int]]
    logits: np.ndarray


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
        self.length, self.encoder, self.pieces = 0, None, None
        if run.tokenizer:
            path, self.length = run.tokenizer
            if self.tags:
                self.pieces = windows.Pieces(path, self.length)
            else:
                self.encoder = tokens.load(path, self.length)

    @property
    def tags(self) -> bool:
        """Tell whether the words of a text are answered, and not the text."""
        return self.run.task.name == "tagging"

    def outputs(self, chunks: Iterable[list[str]]) -> Iterator[np.ndarray | list[Tagged | None]]:
        """Yield what the model gives for each chunk, float32 (rows, outputs); of an empty text no numbers (nan).

        Of texts that are tagged: a `Tagged` each, None of an empty one. With a recipe that takes pictures, a text that
        is the path of one means that.
        """
        numbers, under_way = itertools.count(), deque[tuple[int, list[str]]]()
        for texts in chunks:
            full = [text for text in texts if not empty(text)]
            number = next(numbers) if full else -1
            if full:
                self.give(number, full)
            under_way.append((number, texts))
            if len(under_way) == AHEAD:
                yield self.taken(*under_way.popleft())
        while under_way:
            yield self.taken(*under_way.popleft())

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
        if self.tags:
            Ragged.of([np.array(words_of(text), np.int32) for text in texts]).write(part, WORDS)
        if self.pieces:
            whole = part.rename(self.scratch / "whole")
            part.mkdir()
            windows.write(self.pieces, whole, part)
            shutil.rmtree(whole)
        if self.encoder:
            tokens.write(self.encoder, part, self.length, part)
        part.rename(self.scratch / "chunks" / str(number))

    def taken(self, number: int, texts: list[str]) -> np.ndarray | list[Tagged | None]:
        """Return what the model gives for a chunk, also of the texts that are empty."""
        full = np.array([not empty(text) for text in texts], bool)
        if self.tags:
            found = iter(self.tagged(number, [text for text in texts if not empty(text)]) if full.any() else [])
            return [next(found) if one else None for one in full]
        logits = np.full((len(full), self.classes), np.nan, np.float32)
        if full.any():
            logits[full] = self.take(number)[0]
        return logits

    def tagged(self, number: int, texts: list[str]) -> list[Tagged]:
        """Return the words of each text of a chunk, none of them empty, with their logits."""
        logits, split = self.take(number)
        assert split.words is not None
        marks = split.words.values
        counts = marks[:, 1] > marks[:, 0]
        offsets = of_texts(split.row_ids, np.diff(np.cumsum([0, *counts])[split.words.offsets]))
        rows = Ragged(logits[counts], offsets)
        return [Tagged(text, words_of(text), rows[row]) for row, text in enumerate(texts)]

    def take(self, number: int) -> tuple[np.ndarray, Split]:
        """Wait for what the model gives for a chunk, return it and the chunk's rows, and clear it away."""
        folder = self.scratch / "chunks" / str(number)
        done = folder.with_suffix(".npy")
        while not done.exists():
            if self.process.poll() is not None:
                raise failure(self.process, self.scratch, "nothing was predicted")
            time.sleep(0.005)
        found = np.load(done)
        if found.shape[1] != self.classes:
            raise UserError(f"the model has {found.shape[1]} classes, and its job.json names {self.classes} labels.")
        split = Split("chunk", folder)
        shutil.rmtree(folder)  # what is mapped stays readable
        done.unlink()
        return found, split


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
