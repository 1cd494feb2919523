"""Texts whose words have tags -> token ids, in windows: a text that is longer than the model takes loses no word.

Each word is cut into pieces by itself; its first piece bears its tag. What is too long becomes several windows that
overlap, so that a span which one of them cuts is whole in the next; of a word that is in two the tag counts in that
one which shows more of the text around it. So the words that count, of all windows in their order, are those of the
texts, each once: nothing more is needed to put together what is predicted of them.
"""

import json
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from harness.base import progress
from harness.inputs.data.build import quantiles, ragged
from harness.inputs.data.source import SPLITS
from harness.inputs.data.tokens import CHUNK, load
from recipes.contract.split import WORDS, Split
from recipes.contract.tasks import IGNORED, TASKS

OVERLAP = 4  # a window shares with the next one some 1/4 of its pieces
TAGGING = TASKS["tagging"]


class Window(NamedTuple):
    """Words `first` to `end` of a text, the last not among them; those from `own` to `other` count here."""

    first: int
    end: int
    own: int
    other: int


def build(data: Path, tokenizer: Path, max_length: int, folder: Path) -> None:
    """Write the windows of all splits of `data`, as splits of their own, and tokens.json into `folder`."""
    pieces, report = Pieces(tokenizer, max_length), {}
    with progress.step("data: tokenising") as show:
        for split in SPLITS:
            (folder / split).mkdir()
            say = lambda rows, split=split: show(f"{split}: {rows:,} rows")  # noqa: E731
            report[split] = write(pieces, data / split, folder / split, say)
    (folder / "tokens.json").write_text(json.dumps(report, indent=1), encoding="utf-8")


class Pieces:
    """A tokenizer that cuts words into pieces, one by one, for rows of so many tokens at most."""

    def __init__(self, path: Path, max_length: int):
        encoder = load(path, max_length)
        encoder.no_truncation()
        if hasattr(encoder.pre_tokenizer, "add_prefix_space"):  # byte-level: a word begins with its space
            encoder.pre_tokenizer = type(encoder.pre_tokenizer)(add_prefix_space=True)
        example = encoder.encode("a")
        own = [place for place, special in enumerate(example.special_tokens_mask) if not special]
        self.before, self.after = example.ids[: own[0]], example.ids[own[-1] + 1 :]  # special tokens
        self.room = max_length - len(self.before) - len(self.after)
        model = json.loads(encoder.to_str())["model"]
        unknown = model.get("unk_id", encoder.token_to_id(model.get("unk_token") or ""))
        self.encoder, self.unknown = encoder, unknown or 0

    def of(self, words: Sequence[Sequence[str]]) -> Iterator[list[list[int]]]:
        """Yield of each text the pieces of its words, one at least: what the tokenizer leaves out is unknown."""
        for its, encoding in zip(
            words, self.encoder.encode_batch(list(words), is_pretokenized=True, add_special_tokens=False), strict=True
        ):
            found: list[list[int]] = [[] for _ in its]
            for piece, word in zip(encoding.ids, encoding.word_ids, strict=True):
                found[word].append(piece)
            yield [pieces[: self.room] or [self.unknown] for pieces in found]


def windows(sizes: Sequence[int], room: int) -> Iterator[Window]:
    """Yield the windows of a text, from the pieces of its words, none more than `room`."""
    first = own = 0
    while True:
        end, used = first, 0
        while end < len(sizes) and used + sizes[end] <= room:
            used += sizes[end]
            end += 1
        if end == len(sizes):
            yield Window(first, end, own, end)
            return
        again, shared = end, 0
        while again > first + 1 and shared + sizes[again - 1] <= room // OVERLAP:
            again -= 1
            shared += sizes[again]
        other = max(own, (again + end + 1) // 2)  # the first half of what they share counts here
        if other > own:  # else its words count in others
            yield Window(first, end, own, other)
        first, own = again, other


def write(pieces: Pieces, data: Path, folder: Path, show: Callable[[int], None] | None = None) -> Mapping[str, object]:
    """Write the windows of the texts in the folder `data`, a split; return what the data report says about them.

    Texts that are to be predicted alone have no labels, and so have their windows.
    """
    split, row_ids, lengths = Split("", data, task=TAGGING), array("q"), array("q")
    tagged = (data / "labels.offsets.bin").exists()
    with (
        ragged(folder, "texts") as add_text,
        ragged(folder, "token_ids") as add_ids,
        ragged(folder, WORDS) as add_words,
        ragged(folder, "labels") if tagged else nullcontext() as add_tags,
    ):
        for row, sizes in enumerate(_pieces(pieces, split)):
            for window in windows(list(map(len, sizes)), pieces.room):
                text, ids, heads, places = _cut(pieces, split, row, sizes, window)
                add_text(text.encode())
                add_ids(ids)
                marks = np.zeros((len(ids), 2), np.int32)
                marks[heads] = places
                add_words(marks)
                if add_tags:
                    tags = np.full(len(ids), IGNORED, np.int32)
                    tags[heads] = split.labels[row][window.own : window.other]
                    add_tags(tags)
                row_ids.append(int(split.row_ids[row]))
                lengths.append(len(ids))
            if show and row % 1000 == 999:
                show(row + 1)
    np.array(row_ids, np.int64).tofile(folder / "row_ids.bin")
    return {"tokens": quantiles(np.array(lengths)), "truncated": 0.0, "windows": len(lengths)}


def _pieces(pieces: Pieces, split: Split) -> Iterator[list[list[int]]]:
    """Yield the pieces of the words of each text."""
    assert split.words is not None, "a split that is tagged has words"
    rows = iter(range(len(split)))
    while chunk := list(islice(rows, CHUNK)):
        texts = ((split.text(row), split.words[row].tolist()) for row in chunk)
        yield from pieces.of([[text[start:end] for start, end in words] for text, words in texts])


def _cut(
    pieces: Pieces, split: Split, row: int, of_words: list[list[int]], window: Window
) -> tuple[str, np.ndarray, np.ndarray, np.ndarray]:
    """Return a window of a text: its text, its token ids, and of the words that count here their first tokens (words,)
    and where they stand in its text (words, 2).
    """
    assert split.words is not None
    words, kept = split.words[row], of_words[window.first : window.end]
    start, end = words[window.first, 0], words[window.end - 1, 1]
    ids = np.array([*pieces.before, *chain.from_iterable(kept), *pieces.after], np.int32)
    heads = (
        len(pieces.before) + np.cumsum([0, *map(len, kept)])[window.own - window.first : window.other - window.first]
    )
    return split.text(row)[start:end], ids, heads, words[window.own : window.other] - start
