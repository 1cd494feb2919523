"""Prepared texts -> token ids, in chunks; a text of any length costs no more than the part that is kept."""

import json
import os
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from harness.base import progress
from harness.base.errors import UserError
from harness.inputs.data.build import quantiles
from harness.inputs.data.source import SPLITS

CHUNK = 1000  # rows encoded at a time
CHARACTERS = 64  # a token: what is encoded at first of a long text; several times what a tokenizer needs


def build(data: Path, tokenizer: Path, max_length: int, folder: Path) -> None:
    """Write <split>/token_ids.{values,offsets}.bin for the splits of `data` and tokens.json into `folder`."""
    encoder = load(tokenizer, max_length)
    report = {}
    with progress.step("data: tokenising") as show:
        for split in SPLITS:
            (folder / split).mkdir()
            say = lambda rows, split=split: show(f"{split}: {rows:,} rows")  # noqa: E731
            report[split] = write(encoder, data / split, max_length, folder / split, say)
    (folder / "tokens.json").write_text(json.dumps(report, indent=1), encoding="utf-8")


def load(path: Path, max_length: int) -> Any:
    """Return the tokenizer in `path`, cutting to `max_length` tokens and not padding."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")  # unset, it warns in every process forked after this
    from tokenizers import Tokenizer

    try:
        encoder = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises plain Exception
        raise UserError(f"{path} is no fast tokenizer (tokenizer.json): {error}") from None
    special = encoder.num_special_tokens_to_add(False)
    if max_length <= special:
        raise UserError(f"data.max_length={max_length} leaves no room for text beside {special} special tokens.")
    encoder.no_padding()
    encoder.enable_truncation(max_length)
    return encoder


def _encode(encoder: Any, texts: IO[bytes], offsets: np.ndarray, max_length: int) -> Iterator[tuple[list[int], bool]]:
    """Yield each row's token ids, and whether they were cut."""
    first = CHARACTERS * max_length
    for start in range(0, len(offsets) - 1, CHUNK):
        bounds = offsets[start : start + CHUNK + 1].tolist()
        rows = list(zip(bounds, bounds[1:], strict=False))
        heads = [_head(texts, *row, first) for row in rows]
        encodings = encoder.encode_batch_fast([head for head, _ in heads])
        for row, (_, whole), encoding in zip(rows, heads, encodings, strict=True):
            characters = first
            while not (whole or encoding.overflowing):
                characters *= 2
                head, whole = _head(texts, *row, characters)
                encoding = encoder.encode_batch_fast([head])[0]
            yield encoding.ids, bool(encoding.overflowing)


def _head(texts: IO[bytes], start: int, end: int, characters: int) -> tuple[str, bool]:
    """Return the text at bytes `start` to `end`, or its beginning, cut before white space; and whether it is whole.

    Tokens do not reach across white space, so the tokens of the beginning are those of the whole. Where one word
    is longer than `characters` (thousands of them) it is cut within.
    """
    texts.seek(start)
    data = texts.read(min(end - start, 4 * characters))  # a character has at most 4 bytes
    text = data.decode("utf-8", "ignore")  # the last character may be cut
    if len(text) <= characters and len(data) == end - start:
        return text, True
    words = text[:characters].rsplit(maxsplit=1)
    return (words[0] if len(words) > 1 else text[:characters]), False


def write(
    encoder: Any, data: Path, max_length: int, folder: Path, show: Callable[[int], None] | None = None
) -> dict[str, Any]:
    """Write the token ids of the texts in the folder `data`; return what the data report says about them."""
    text_offsets, offsets, truncated = np.fromfile(data / "texts.offsets.bin", np.int64), array("q", [0]), 0
    with (
        open(data / "texts.values.bin", "rb") as texts,
        open(folder / "token_ids.values.bin", "wb", buffering=1 << 20) as handle,
    ):
        for ids, was_cut in _encode(encoder, texts, text_offsets, max_length):
            handle.write(array("i", ids).tobytes())
            offsets.append(offsets[-1] + len(ids))
            truncated += was_cut
            if show and len(offsets) % 10_000 == 0:
                show(len(offsets))
    with open(folder / "token_ids.offsets.bin", "wb") as handle:
        offsets.tofile(handle)
    number = len(offsets) - 1
    return {"tokens": quantiles(np.diff(np.array(offsets))), "truncated": truncated / number}
