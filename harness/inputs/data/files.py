"""A file as it comes: packed or not, and, where it is not what its name says, what it looks like."""

import gzip
import io
import lzma
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any, BinaryIO, TextIO

from harness.base.errors import UserError, not_here

PACKED = (".gz", ".zip", ".zst")
HEAD = 4096  # bytes that are looked at
SIGNS = {
    b"PAR1": "a parquet file; let its name end with .parquet",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook (let its name end with .xls) or an encrypted new one",
    b"\x1f\x8b": "a gzip archive; let its name end with .gz, as jobs.csv.gz does",
    b"\x28\xb5\x2f\xfd": "a zstandard archive; let its name end with .zst, as jobs.csv.zst does",
    b"BZh": "a bzip2 archive; unpack it",
    b"\xfd7zXZ\x00": "an xz archive; unpack it",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive; unpack it",
    b"Rar!": "a rar archive; unpack it",
    b"%PDF": "a PDF document; export its table as CSV",
    b"{\\rtf": "a text document (RTF); export its table as CSV",
    b"\x89PNG": "an image (PNG)",
    b"\xff\xd8\xff": "an image (JPEG)",
    b"GIF8": "an image (GIF)",
    b"II*\x00": "an image (TIFF)",
    b"MM\x00*": "an image (TIFF)",
    b"SQLite format 3": "an SQLite database; export its table as CSV",
}
ARCHIVED = {  # what a zip archive is that holds a file of such a name
    "xl/": "an Excel workbook; let its name end with .xlsx",
    "word/": "a Word document; export its table as CSV",
    "content.xml": "an OpenDocument file; let its name end with .ods if it is a spreadsheet",
}
CONTROLS = {*range(1, 32)} - {*b"\t\n\v\f\r\x1a\x1b"}  # what no text has; a NUL may stray into it


def name_of(path: Path) -> PurePosixPath:
    """Return the name of the file that `path` holds: of jobs.csv.gz jobs.csv, of a zip archive that of its one file."""
    if path.suffix.lower() == ".zip":
        with explained(path), zipfile.ZipFile(path) as archive:
            return PurePosixPath(_member(path, archive).filename)
    return PurePosixPath(path.name if path.suffix.lower() not in PACKED else path.stem)


def opened(path: Path) -> BinaryIO:
    """Open the bytes of a file for reading from start to end, unpacked where it is packed."""
    packing = path.suffix.lower()
    if packing == ".zip":
        archive = zipfile.ZipFile(path)
        return archive.open(_member(path, archive))  # type: ignore[return-value]
    _check_packing(path, packing)
    if packing == ".gz":
        return gzip.open(path, "rb")  # type: ignore[return-value]
    if packing == ".zst":
        import pyarrow

        return pyarrow.CompressedInputStream(str(path), "zstd")
    return open(path, "rb")


def opened_text(path: Path, encoding: str, newline: str = "") -> TextIO:
    """Open a file as text, unpacked where it is packed; line ends stay as they are unless `newline` says otherwise."""
    return io.TextIOWrapper(opened(path), encoding=encoding, newline=newline)


@contextmanager
def seekable(path: Path) -> Iterator[Any]:
    """Yield what a reader that goes to and fro in a file takes: its path, or its content in a temporary file."""
    if path.suffix.lower() not in PACKED:
        yield path
        return
    with opened(path) as source, tempfile.TemporaryFile() as whole:
        shutil.copyfileobj(source, whole)
        whole.seek(0)
        yield whole


def check_file(path: Path) -> None:
    """Raise UserError unless `path` is a file that may be read."""
    if path.exists() and not path.is_file() and not path.is_dir():
        raise UserError(f"{path} is a pipe or a device, and a file is read more than once: write it to one first.")
    with explained(path), open(path, "rb"):
        pass


def head_of(path: Path) -> bytes:
    """Return the first bytes of the file, unpacked."""
    with opened(path) as handle:
        return handle.read(HEAD)


def looks_like(path: Path) -> str | None:
    """Say what a file that is no plain text looks like, by its first bytes; None for text."""
    head = head_of(path)
    if head.startswith(b"PK\x03\x04"):
        return _archive(path)
    for sign, what in SIGNS.items():
        if head.startswith(sign):
            return what
    if head.lstrip()[:15].lower().startswith((b"<!doctype", b"<html")):
        return "a web page (HTML); was it saved from a link to the file?"
    nuls = head.count(b"\x00")
    if 5 * nuls >= len(head) > 0 or (nuls and any(control in head for control in CONTROLS)):
        encoding = "utf-16-be" if head[::2].count(0) > head[1::2].count(0) else "utf-16-le"
        return f"binary data, or UTF-16 without its mark (then give data.encoding={encoding})"
    return None


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what the system, or an unpacker, says about opening and reading `path` into a UserError."""
    try:
        yield
    except FileNotFoundError:
        raise UserError(not_here(path, "file")) from None
    except IsADirectoryError:
        raise UserError(f"{path} is a folder; give a file in it.") from None
    except PermissionError:
        raise UserError(f"{path} may not be read: no permission.") from None
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile, zipfile.BadZipFile, NotImplementedError) as error:
        raise _damaged(path, error) from None
    except OSError as error:
        if error.errno is None and path.suffix.lower() in PACKED:  # pyarrow's: it has no class for it
            raise _damaged(path, error) from None
        raise


def _damaged(path: Path, error: Exception) -> UserError:
    return UserError(f"{path} cannot be unpacked ({str(error) or 'it ends too early'}). Fetch or pack it again.")


def _check_packing(path: Path, packing: str) -> None:
    """Raise UserError where a file whose name says that it is packed is not."""
    if packing in (".gz", ".zst"):
        sign, kind = {".gz": (b"\x1f\x8b", "gzip"), ".zst": (b"\x28\xb5\x2f\xfd", "zstandard")}[packing]
        with open(path, "rb") as handle:
            if handle.read(len(sign)) != sign:
                raise UserError(
                    f"{path} is not what its name says: it is no {kind} archive. Let its name say what it is."
                )


def _member(path: Path, archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    """Return the one file in a zip archive; what macOS puts beside it does not count."""
    files = [file for file in archive.infolist() if not file.is_dir()]
    files = [file for file in files if not any(part.startswith((".", "__MACOSX")) for part in _parts(file))]
    if len(files) != 1:
        shown = ", ".join(file.filename for file in files[:5]) + (", …" if len(files) > 5 else "")
        there = f"{len(files)} files: {shown}" if files else "no file"
        raise UserError(f"{path} holds {there}. Unpack it and give the file you mean, or pack that one alone.")
    if files[0].flag_bits & 1:
        raise UserError(
            f"{path}: {files[0].filename} in it is encrypted. Unpack it with its password, and give the file."
        )
    return files[0]


def _parts(file: zipfile.ZipInfo) -> tuple[str, ...]:
    return PurePosixPath(file.filename).parts


def _archive(path: Path) -> str:
    """Say what a zip archive is, by the names of what it holds."""
    with seekable(path) as whole:
        try:
            names = zipfile.ZipFile(whole).namelist()
        except zipfile.BadZipFile:
            return "an Excel workbook (.xlsx) or another zip archive, and damaged"
    found = (what for start, what in ARCHIVED.items() if any(name.startswith(start) for name in names))
    return next(found, "a zip archive; let its name end with .zip")


def lines_of(handle: IO[str], nuls: list[int]) -> Iterator[str]:
    """Yield lines without the NUL characters that stand in them; the numbers of these lines are added to `nuls`.

    Nor is there a byte-order mark in front of a quote or of JSON: files put one after the other have it within.
    """
    for number, line in enumerate(handle, 1):
        if "\x00" in line:
            nuls.append(number)
            line = line.replace("\x00", "")
        if line[:1] == "\ufeff" and line.lstrip("\ufeff")[:1] in ('"', "{"):
            line = line.lstrip("\ufeff")
        yield line
