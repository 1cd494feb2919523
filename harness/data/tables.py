"""Tables in files (csv, tsv, JSON lines, parquet) as streams of the cells of the columns one wants."""

import csv
import json
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

from harness.data.encoding import encoding_of, mark
from harness.data.source import Notes
from harness.errors import UserError, nearest, not_here


class ColumnError(UserError):
    """A file has no column of a name, or several."""


Cells = Iterator[tuple[int, list[Any]]]  # the row's number, counted from 1; its cells in the order asked for
Reader = Callable[[Path, list[str], str | None, Notes], Cells]

LONGEST_CELL = 1 << 27  # characters; a quote left open would otherwise read a whole file into one cell
BATCH = 1000  # parquet rows in memory
SIGNS = {
    b"PAR1": "a parquet file (.parquet)",
    b"PK\x03\x04": "an Excel workbook (.xlsx) or another zip archive; export it as CSV",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook (.xls); export it as CSV",
    b"\x1f\x8b": "a gzip archive; unpack it",
    b"%PDF": "a PDF document",
}


def read_table(path: Path, columns: list[str], encoding: str | None, notes: Notes) -> Cells:
    """Stream the cells of `columns` from a file whose format its ending names; memory is bounded.

    Raises UserError for a file that is missing, unreadable, not what its name says or not well formed, and for
    columns it does not have. What was found out (encoding, delimiter) goes to `notes`.
    """
    reader = reader_of(path)
    check_file(path)
    with _explained(path):
        yield from reader(path, columns, encoding, notes)


def reader_of(path: Path) -> Reader:
    """Return the reader for the ending of a file's name, or raise UserError."""
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise UserError(
            f"{path}: what kind of file is this? The endings {', '.join(READERS)} are read; "
            "export anything else (Excel, …) as CSV."
        )
    return reader


def check_file(path: Path) -> None:
    """Raise UserError unless `path` is a file that may be read."""
    if path.exists() and not path.is_file() and not path.is_dir():
        raise UserError(f"{path} is a pipe or a device, and a file is read more than once: write it to one first.")
    with _explained(path), open(path, "rb"):
        pass


def json_lines(path: Path, columns: list[str], encoding: str | None, notes: Notes) -> Cells:
    """Stream the values of the keys `columns` from a file of one JSON object a line; rows are numbered by line."""
    encoding = _text_encoding(path, encoding, notes, array="[")
    first = True
    with open(path, encoding=encoding, newline="\n") as handle:
        for number, line in enumerate(handle, 1):
            if not line.strip():
                continue
            values = _json_object(path, number, line)
            if first:
                check_columns(path, list(values), columns)
                first = False
            yield number, [values.get(column) for column in columns]


def check_columns(place: Any, there: list[str], wanted: list[str]) -> None:
    """Raise ColumnError unless each of `wanted` stands once among the columns that are `there`."""
    shown = ", ".join(f"`{column}`" for column in there)
    for column in wanted:
        if column not in there:
            raise ColumnError(f"{place}: there is no column `{column}`; there are {shown}.{nearest(column, there)}")
        if there.count(column) > 1:
            raise ColumnError(
                f"{place}: {there.count(column)} columns are named `{column}`; there are {shown}. Rename them."
            )


def _json_object(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        values = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}, line {number}: this is not JSON ({error}). Each line must hold one object.") from None
    if not isinstance(values, dict):
        raise UserError(f"{path}, line {number}: this is JSON, but no object {{…}}. Each line must hold one object.")
    return values


def _delimited(path: Path, columns: list[str], encoding: str | None, notes: Notes) -> Cells:
    """Stream the cells of `columns` from a file of separated values with a header; blank lines are skipped."""
    encoding = _text_encoding(path, encoding, notes)
    csv.field_size_limit(LONGEST_CELL)
    columns = [_composed(column) for column in columns]
    delimiter, header = _header(path, encoding, columns)
    notes["delimiter"] = delimiter
    places = [header.index(column) for column in columns]
    with open(path, encoding=encoding, newline="") as handle:
        number, reader = -1, csv.reader(handle, delimiter=delimiter, strict=True)
        try:
            for cells in reader:
                if not cells:
                    continue
                number += 1
                if number == 0:
                    continue
                if len(cells) != len(header):
                    raise UserError(
                        f"{path}, row {number} (line {reader.line_num}): {len(cells)} cells, but the header has "
                        f"{len(header)}.\nPut a cell that holds the delimiter {delimiter!r} or a line end in quotes."
                    )
                yield number, [cells[place] for place in places]
        except csv.Error as error:
            raise UserError(
                f"{path}, row {number + 1} (line {reader.line_num}): {error}. Is a quote left open?\n"
                'A cell that starts with " ends with it, and a " inside such a cell is written twice.'
            ) from None


def _composed(name: str) -> str:
    """Return a name with its accents composed: macOS writes `é` as two characters, keyboards as one."""
    return unicodedata.normalize("NFC", name)


def _header(path: Path, encoding: str, columns: list[str]) -> tuple[str, list[str]]:
    """Return the delimiter under which the header has all `columns`, and the header."""
    delimiters = "\t,;|" if path.suffix.lower() == ".tsv" else ",;\t|"
    headers = {}
    for delimiter in delimiters:
        with open(path, encoding=encoding, newline="") as handle:
            try:
                cells = next(filter(None, csv.reader(handle, delimiter=delimiter, strict=True)), [])
            except csv.Error:
                continue
        headers[delimiter] = [_composed(cell.strip()) for cell in cells]
        if columns and set(columns) <= set(headers[delimiter]):
            check_columns(path, headers[delimiter], columns)
            return delimiter, headers[delimiter]
    if not headers:
        raise UserError(f"{path}, line 1: the header cannot be read. Is a quote left open?")
    likeliest = max(headers, key=lambda delimiter: len(headers[delimiter]))
    if not headers[likeliest]:
        raise UserError(f"{path} is empty: the first line must hold the names of the columns.")
    check_columns(path, headers[likeliest], columns)
    return likeliest, headers[likeliest]


def _parquet(path: Path, columns: list[str], encoding: str | None, notes: Notes) -> Cells:
    """Stream the cells of `columns` from a parquet file."""
    looks = _looks_like(path)
    if looks != SIGNS[b"PAR1"]:
        raise UserError(f"{path} is no parquet file: it looks like {looks or 'text'}.")
    import pyarrow
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(path, pre_buffer=False, buffer_size=1 << 20) as file:
            check_columns(path, file.schema_arrow.names, columns)
            batches = file.iter_batches(BATCH, columns=columns)
            rows = (zip(*(batch.column(c).to_pylist() for c in columns), strict=True) for batch in batches)
            for number, cells in enumerate(chain.from_iterable(rows), 1):
                yield number, list(cells)
    except pyarrow.ArrowException as error:
        raise UserError(f"{path}: this parquet file is damaged ({error}). Write or fetch it again.") from None


READERS: dict[str, Reader] = {
    **dict.fromkeys((".csv", ".tsv", ".txt"), _delimited),
    **dict.fromkeys((".jsonl", ".ndjson", ".json"), json_lines),
    ".parquet": _parquet,
}


def _text_encoding(path: Path, chosen: str | None, notes: Notes, array: str = "") -> str:
    """Return the file's encoding, noted; UserError for a file that is no such text."""
    marked = mark(path)
    looks = None if (chosen or marked or "").lower().startswith("utf-16") else _looks_like(path)
    if looks:
        raise UserError(f"{path} is not what its name says: it looks like {looks}.")
    notes["encoding"] = encoding = encoding_of(path, chosen)
    with open(path, encoding=encoding) as handle:
        start = handle.read(4096).lstrip()[:1]
    if array and start == array:
        raise UserError(f"{path} holds one JSON array. Write one JSON object a line instead, without [ , and ].")
    if not array and start == "{":
        raise UserError(f"{path} is not what its name says: it looks like JSON. Name it .jsonl if it is JSON lines.")
    return encoding


def _looks_like(path: Path) -> str | None:
    """Say what a file that is no plain text looks like, by its first bytes."""
    with open(path, "rb") as handle:
        head = handle.read(4096)
    for sign, what in SIGNS.items():
        if head.startswith(sign):
            return what
    if head.lstrip()[:15].lower().startswith((b"<!doctype", b"<html")):
        return "a web page (HTML); was it saved from a link to the file?"
    if b"\x00" in head:
        return "binary data, or UTF-16 without its mark (then give data.encoding=utf-16-le)"
    return None


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn what the system says about opening `path` into a UserError."""
    try:
        yield
    except FileNotFoundError:
        raise UserError(not_here(path, "file")) from None
    except IsADirectoryError:
        raise UserError(f"{path} is a folder; give a file in it.") from None
    except PermissionError:
        raise UserError(f"{path} may not be read: no permission.") from None
