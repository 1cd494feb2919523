"""What a CRF is told of a word: how it is written, and what stands beside it."""

import re
from collections.abc import Iterator

from recipes.contract.split import Batch

SHAPE = [(re.compile(pattern), sign) for pattern, sign in (("[A-ZÀ-ÖØ-Þ]", "X"), ("[a-zß-öø-ÿ]", "x"), (r"\d", "0"))]
AFFIXES = (2, 3, 4)


def features_of(batch: Batch, window: int) -> Iterator[list[list[str]]]:
    """Yield of each text the features of its words; `window`: how many words on either side a word is told of."""
    for text, places in zip(batch.texts, batch.words, strict=True):
        words = [text[start:end] for start, end in places]
        own = [written(word) for word in words]
        yield [near(own, place, window) for place in range(len(words))]


def written(word: str) -> list[str]:
    """Return how a word is written: itself, its affixes, its shape."""
    lower, shape = word.lower(), word
    for pattern, sign in SHAPE:
        shape = pattern.sub(sign, shape)
    shape = re.sub(r"(.)\1+", r"\1+", shape)
    affixes = [f"{place}{size}={part}" for size in AFFIXES if len(lower) > size
               for place, part in (("begins", lower[:size]), ("ends", lower[-size:]))]  # fmt: skip
    return [f"word={lower}", f"shape={shape}", *affixes]


def near(own: list[list[str]], place: int, window: int) -> list[str]:
    """Return the features of a word: its own, and of its neighbours the words and shapes, by how far they stand."""
    found = ["always", *own[place]]
    for away in (*range(-window, 0), *range(1, window + 1)):
        there = place + away
        found += [f"{away}:{name}" for name in own[there][:2]] if 0 <= there < len(own) else [f"{away}:none"]
    return found
