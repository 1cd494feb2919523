"""The rows of a job as they lie on disk, and the batches of them that a model is given. Standard library and numpy."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from recipes.contract.ragged import Ragged, flat, in_order, read_array
from recipes.contract.tasks import CLASSIFICATION, Task

PREDICT_BATCH = 64
PICTURES = "pictures"  # of a split, the bytes of their files: pictures.values.bin, pictures.offsets.bin
WORDS = "words"  # of a split that is tagged: where the word of each tag stands in the text


@dataclass(frozen=True)
class Batch:
    """Rows to predict: their texts, and their token ids (one int32 array a row, special tokens included).

    Of data that is of pictures a text is a picture's path, and `pictures` has its file's bytes (uint8); a row without
    any is a text after all. Where texts are tagged, `words` has for each token, or for each word where the recipe has
    no tokenizer, where the word it stands for is in the text: int32 (tokens, 2), first character and the one after the
    last, both 0 of a token that stands for none (special ones, and all but the first of a word).
    """

    texts: list[str]
    token_ids: list[np.ndarray]
    pictures: list[np.ndarray] = field(default_factory=list)
    words: list[np.ndarray] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.texts)


class Split:
    """One split of the data: row ids (int64), texts, token ids where the recipe has a tokenizer, pictures where it is
    of such.

    Its `labels` are as its task has them: int32 (rows,) for classification. See recipes/contract/tasks.py.
    """

    def __init__(
        self, name: str, data: Path, tokens: Path | None = None, task: Task = CLASSIFICATION, outputs: int = 0
    ):
        self.name, self.task = name, task
        self.row_ids = read_array(data / "row_ids.bin", "int64")
        self._folder, self._outputs = data, outputs
        self._texts = Ragged.open(data, "texts", "uint8")
        self.token_ids = Ragged.open(tokens, "token_ids", "int32") if tokens else None
        there = (data / f"{PICTURES}.offsets.bin").exists()
        self.pictures = Ragged.open(data, PICTURES, "uint8") if there else None
        self.words = open_words(data) if (data / f"{WORDS}.offsets.bin").exists() else None

    def __len__(self) -> int:
        return len(self.row_ids)

    @cached_property
    def labels(self) -> Any:
        """The labels of all rows, by memory map; of texts that are to be predicted alone there are none on disk."""
        return self.task.open(self._folder, self._outputs)

    @cached_property
    def items(self) -> np.ndarray:
        """How many items of the loss each row has, int64 (rows,): 1, or the words that a row's tags are of."""
        return self.task.items(self.labels)

    def text(self, row: int) -> str:
        return self._texts[row].tobytes().decode("utf-8")

    @property
    def lengths(self) -> np.ndarray:
        """Tokens in each row; UTF-8 bytes where there is no tokenizer."""
        return (self.token_ids or self._texts).lengths

    def batch(self, rows: Sequence[int] | np.ndarray) -> Batch:
        of_rows = ([part[row] for row in rows] if part else [] for part in (self.token_ids, self.pictures, self.words))
        return Batch([self.text(row) for row in rows], *of_rows)


def open_words(folder: Path) -> Ragged:
    """Memory-map where the words of a split's tags stand: int32 (tags, 2), see `Batch.words`."""
    places = Ragged.open(folder, WORDS, "int32")
    return Ragged(places.values.reshape(-1, 2), places.offsets)


def padded(rows: Sequence[np.ndarray], value: int, multiple: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Pad token ids, or tags, to the longest row: ids and mask (1: a token, 0: padding), both int32 (rows, tokens).

    `multiple`: the tokens are rounded up to a multiple of it, for a library that compiles for each shape.
    """
    lengths = np.array([len(row) for row in rows])
    mask = np.arange(-(-lengths.max() // multiple) * multiple) < lengths[:, None]
    ids = np.full(mask.shape, value, np.int32)
    ids[mask] = np.concatenate(rows)
    return ids, mask.astype(np.int32)


def few(number: int, least: int = 4) -> int:
    """Round a size up to one of few: to 4, 8, 12, 16, 24, 32, …, multiples of a quarter of the next power of two."""
    multiple = max(least, 2 ** (int(number) - 1).bit_length() // 4)
    return -(-int(number) // multiple) * multiple


def rows_of(outputs: np.ndarray, batch: Batch) -> np.ndarray | list[np.ndarray]:
    """Return what was computed of a padded batch as `Predict` does: of tokens, (rows, tokens, tags), each row's own.

    Rows that fill it up, to make a shape, come last and are left out.
    """
    rows = outputs[: len(batch)]
    if rows.ndim < 3:
        return rows
    return [row[: len(ids)] for row, ids in zip(rows, batch.token_ids, strict=True)]


Predict = Callable[
    [Batch], Any
]  # a batch -> what its task says: float32 (rows, outputs), or a list of (tokens, outputs)


@dataclass(frozen=True)
class InTwo:
    """A function that predicts in two parts, where what the model takes is made of the texts with every call.

    So how long a call takes is told with and without the first part (recipes/worker/inference.py).
    """

    prepare: Callable[[Batch], Any]
    compute: Callable[[Any], Any]

    def __call__(self, batch: Batch) -> Any:
        return self.compute(self.prepare(batch))


def predict_split(predict: Predict, split: Split, told: Callable[[int, int], None] = lambda *_: None) -> np.ndarray:
    """Return what is predicted of all rows, in their order: float32 (rows, outputs); of tokens, theirs, end to end.

    Rows of like length go together. After each batch `told` gets how many rows are done, of how many.
    """
    order, batches = np.argsort(split.lengths, kind="stable"), []
    for start in range(0, len(order), PREDICT_BATCH):
        batches.append(predict(split.batch(order[start : start + PREDICT_BATCH])))
        told(min(start + PREDICT_BATCH, len(order)), len(order))
    return in_order(batches, order)


def kept(split: Split, logits: np.ndarray) -> dict[str, np.ndarray]:
    """Return the arrays of predictions_SPLIT.npz: what is predicted of a split, beside its labels, all flat.

    Of tags `offsets` (rows + 1,) say which are a row's.
    """
    arrays = {"row_ids": split.row_ids, "labels": flat(split.labels), "logits": logits}
    return arrays | ({"offsets": split.labels.offsets} if isinstance(split.labels, Ragged) else {})


def order_of_like_length(lengths: np.ndarray, batch_size: int, generator: np.random.Generator) -> np.ndarray:
    """Return a random order of rows, int64, in which each run of `batch_size` rows has texts of like length.

    Rows are shuffled and sorted by length within every 50 batches, then the batches are shuffled: the way of
    transformers' LengthGroupedSampler. The batch that is not full comes last.
    """
    chunk = 50 * batch_size
    order = generator.permutation(len(lengths))
    chunks = [order[start : start + chunk] for start in range(0, len(order), chunk)]
    order = np.concatenate([rows[np.argsort(lengths[rows], kind="stable")] for rows in chunks])
    full = len(order) // batch_size * batch_size
    batches = generator.permutation(order[:full].reshape(-1, batch_size))
    return np.concatenate([batches.reshape(-1), order[full:]])
