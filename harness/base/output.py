"""What we print: characters that cannot be shown are replaced, and a reader may go. Standard library only."""

import codecs
import io
import os
import subprocess
import sys
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

LOOK_ALIKES = {
    "…": "...", "–": "-", "—": "-", "×": "x", "≤": "<=", "≥": ">=", "ε": "eps", "’": "'", "“": '"', "”": '"', "œ": "oe",
    "Œ": "OE", "━": "-", "╸": "-", "╺": "-",
}  # fmt: skip
Answer = subprocess.CompletedProcess[str]
UTF_8 = {"PYTHONIOENCODING": "utf-8"}  # for a Python whose output a program or a file takes


def ready() -> None:
    """Make standard output and error take every character, and a reader that goes. A stream we were not given is none.

    A terminal's encoding, or PYTHONIOENCODING, may lack a character: it becomes one that looks like it, or `?`.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed, by `>&-`
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif stream is getattr(sys, f"__{name}__"):
            stream.flush()
            told = io.BufferedWriter(Told(stream.fileno(), "w", closefd=False))
            how = {"line_buffering": stream.line_buffering, "write_through": stream.write_through}
            setattr(sys, name, io.TextIOWrapper(told, stream.encoding, "look_alike", **how))


class Told(io.FileIO):
    """A descriptor that is written to until its reader goes, as `head` does; from then on all is written nowhere.

    The work goes on: a training does not fail because nobody reads its progress any more.
    """

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            nowhere(self.fileno())
            return len(data)


def nowhere(descriptor: int) -> None:
    """Let what is written to a descriptor vanish."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, descriptor)
    os.close(null)


def settle() -> None:
    """Write what is left; where that fails (a full disk), drop it: at exit Python would say it once more."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            nowhere(stream.fileno())


def look_alike(error: UnicodeError) -> tuple[str | bytes, int]:
    """Return what is printed for a character that the encoding lacks: an error handler as `codecs` wants it.

    A byte of a file's name that is no text is printed as it is.
    """
    if not isinstance(error, UnicodeEncodeError):
        raise error
    character, following = error.object[error.start], error.start + 1
    if "\udc80" <= character <= "\udcff":
        return bytes([ord(character) - 0xDC00]), following
    plain = LOOK_ALIKES.get(character) or unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return plain or "?", following


def answer(
    command: Sequence[str | Path], environment: Mapping[str, str] = os.environ, folder: Path | None = None
) -> Answer:
    """Run a command (in `folder`, or here) to its end; return its exit code and what it said, whatever the locale."""
    variables = {**environment, **UTF_8}
    return subprocess.run(
        command, env=variables, cwd=folder, capture_output=True, encoding="utf-8", errors="replace", check=False
    )


codecs.register_error("look_alike", look_alike)
