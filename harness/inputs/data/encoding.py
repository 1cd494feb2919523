"""The encoding of a text file: its byte-order mark, UTF-8 if all of it is, else a legacy one that reads well."""

import codecs
import re
from collections.abc import Iterator
from pathlib import Path

from harness.base.errors import UserError
from harness.inputs.data.files import opened

BLOCK = 1 << 20
SAMPLE = 1 << 18  # bytes of lines beyond ASCII that a legacy encoding is told from
MARKS = {  # that of UTF-32 begins as one of UTF-16 does
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
MEND = "Mend it there, save the file again as UTF-8, or give its encoding: data.encoding=cp1252"

LETTER = "A-Za-zÀ-ÖØ-öø-ÿŒœŠšŽžŸ"
ODD = re.compile(  # what Western text does not have: signs inside words, a capital with an accent after a small letter
    f"[{LETTER}][¡-§©¬®±-³¶¸¹»-¿×÷ƒ†‡ˆ‚„‰˜™][{LETTER}]|[a-z][À-ÖØ-ÞŒŠŽŸ][a-z]"
)


def mark(path: Path) -> str | None:
    """Return the encoding that the file's byte-order mark names, if it has one."""
    with opened(path) as handle:
        head = handle.read(4)
    return next((name for sign, name in MARKS.items() if head.startswith(sign)), None)


def is_wide(encoding: str | None) -> bool:
    """Tell whether an encoding's characters are of several bytes, NUL bytes among them."""
    try:
        return codecs.lookup(encoding or "utf-8").name.startswith(("utf-16", "utf-32"))
    except LookupError:  # `encoding_of` says that there is no such one
        return False


def encoding_of(path: Path, chosen: str | None = None) -> str:
    """Return the name of the encoding that decodes all of the file: `chosen`, or what can be told.

    Raises UserError for broken UTF-8 (line and byte of the first bad one), for a file that is not in the chosen
    encoding, and where none can be told. The file is read in blocks.
    """
    if chosen is not None:
        try:
            "".encode(chosen)  # refuses what is no encoding of text too, such as hex
        except LookupError:
            raise UserError(f"data.encoding={chosen}: there is no such encoding. Try utf-8, cp1252, utf-16.") from None
    name = chosen or mark(path) or "utf-8"
    bad = first_bad(path, name)
    if bad is None:
        return name
    if name != "utf-8" or chosen:
        raise _broken(path, name, bad, "")
    good, wrong = _count(path)
    if good > wrong:
        beside = f", as other characters beyond ASCII in it are (good: {good:,}, bad: {wrong:,})"
        raise _broken(path, name, bad, beside)
    return _legacy(path)


def first_bad(path: Path, encoding: str) -> int | None:
    """Return the offset of the first byte that `encoding` does not decode, or None."""
    decoder = codecs.getincrementaldecoder(encoding)()
    offset = 0
    for block in _blocks(path):
        try:
            decoder.decode(block, final=not block)
        except UnicodeDecodeError as error:
            return offset + len(block) - len(error.object) + error.start  # the decoder may have kept bytes back
        except UnicodeError:  # utf-16 without what it needs
            return offset
        offset += len(block)
    return None


def _blocks(path: Path) -> Iterator[bytes]:
    """Yield the file's bytes in blocks, then an empty one."""
    with opened(path) as handle:
        while block := handle.read(BLOCK):
            yield block
    yield b""


def _broken(path: Path, encoding: str, offset: int, beside: str) -> UserError:
    line, left, value = 1, offset, b""
    with opened(path) as handle:
        while left:
            block = handle.read(min(BLOCK, left))
            line, left = line + block.count(b"\n"), left - len(block)
        value = handle.read(1)
    what = f"the byte at offset {offset} (0x{value.hex()})" if value else "the end of the file"
    return UserError(f"{path}, line {line}: {what} is not valid {encoding}{beside}.\n{MEND}")


def _count(path: Path) -> tuple[int, int]:
    """Return the numbers of characters beyond ASCII that are good UTF-8, and of bytes that are not."""
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    good = wrong = 0
    for block in _blocks(path):
        text = decoder.decode(block, final=not block)
        if not text.isascii():
            good += len(re.findall("[^\x00-\x7f\udc80-\udcff]", text))
            wrong += len(re.findall("[\udc80-\udcff]", text))
    return good, wrong


def _legacy(path: Path) -> str:
    """Return the single-byte (or other legacy) encoding that the file reads well in."""
    sample = _sample(path)
    if first_bad(path, "cp1252") is None and _western(sample.decode("cp1252")):
        return "cp1252"
    from charset_normalizer import from_bytes

    best = from_bytes(sample).best()
    if best is not None and first_bad(path, best.encoding) is None:
        return best.encoding
    raise UserError(f"{path}: its encoding cannot be told. Save it as UTF-8, or give it: data.encoding=cp1252")


def _sample(path: Path) -> bytes:
    """Return lines that have bytes beyond ASCII: only those tell one legacy encoding from another."""
    lines, size = [], 0
    with opened(path) as handle:
        while size < SAMPLE and (line := handle.readline(1 << 16)):
            if not line.isascii():
                lines.append(line)
                size += len(line)
    return b"".join(lines)


def _western(text: str) -> bool:
    """Tell whether text decoded as cp1252 reads as a Western European language."""
    letters = re.findall(f"[{LETTER}]", text)
    beyond = sum(not letter.isascii() for letter in letters)
    return beyond < 0.3 * len(letters) and 20 * len(ODD.findall(text)) <= max(beyond, 19)
