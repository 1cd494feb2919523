"""Pictures for tests: PNG files made of their own bytes, since the core environment has no library for them."""

import struct
import zlib
from pathlib import Path

import numpy as np


def png(grey: np.ndarray) -> bytes:
    """Return a PNG file of shades of grey, uint8 (height, width)."""
    height, width = grey.shape
    rows = b"".join(b"\x00" + row.tobytes() for row in grey)
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    chunks = (struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
              for kind, data in parts)  # fmt: skip
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def striped(across: bool, number: int) -> np.ndarray:
    """Return a picture of black stripes, across it or down, of a width and place of its own."""
    period = 6 + number % 5
    stripes = (np.arange(96) + number) // period % 2 * 255
    return np.tile(stripes[:32, None], 96).astype(np.uint8) if across else np.tile(stripes, (32, 1)).astype(np.uint8)


def scans(folder: Path, each: int, first: int = 0) -> Path:
    """Write so many pictures of each of two classes, each picture another; return the folder."""
    for name, across in (("across", True), ("down", False)):
        (folder / name).mkdir(parents=True)
        for number in range(first, first + each):
            picture = striped(across, number)
            picture[0, :8] = [255 * (number >> bit & 1) for bit in range(8)]  # so no two are the same
            (folder / name / f"{number:03}.png").write_bytes(png(picture))
    return folder
