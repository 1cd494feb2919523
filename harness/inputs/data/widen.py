"""A table in a file (csv, tsv, JSON lines, parquet) written again with columns added; all that was there stays.

It is read in the encoding and with the delimiter that `read_table` noted, and written as UTF-8.
"""

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from harness.inputs.data import cells, delimited, files, workbooks
from harness.inputs.data.source import Notes
from harness.inputs.data.tables import reader_of

Rows = Iterator[list[Any]]  # the values of columns, row by row; of those added: text, number or None
GROUP = 10_000  # rows of a parquet row group


def columns_of(path: Path, notes: Notes) -> list[str]:
    """Return the names of all columns of a file that `read_table` has read to its end."""
    return FORMATS[reader_of(path).__name__].columns(path, notes)


def rows_of(path: Path, notes: Notes) -> Rows:
    """Yield all cells of each row of such a file, in the order of its columns."""
    return FORMATS[reader_of(path).__name__].rows(path, notes)


def widen(path: Path, notes: Notes, out: Path, names: list[str], values: Rows, first: str = "string") -> None:
    """Write the table in `path` to `out`, with the columns `names` added; memory is bounded.

    The first of them is of the type `first`, in parquet's words, the others are numbers. Raises ValueError where there
    are not as many rows as values.
    """
    written = FORMATS[reader_of(path).__name__].widen
    if written is None:
        raise ValueError(f"{path}: a workbook is not written")
    written(path, notes, out, names, values, first)


def _delimited_columns(path: Path, notes: Notes) -> list[str]:
    _, _, header = next(delimited.records(path, notes))
    return list(map(cells.name, header))


def _delimited(path: Path, notes: Notes, out: Path, names: list[str], values: Rows, first: str) -> None:
    """Keep cells, delimiter, line ends, and the byte-order mark of UTF-8."""
    encoding = "utf-8-sig" if notes["encoding"] == "utf-8-sig" else "utf-8"
    with files.opened_text(path, notes["encoding"]) as source:
        end = "\r\n" if source.readline().endswith("\r\n") else "\n"
    rows = (row for _, _, row in delimited.records(path, notes))
    with open(out, "w", encoding=encoding, newline="") as target:
        writer = csv.writer(target, delimiter=notes["delimiter"], lineterminator=end)
        writer.writerow([*next(rows), *names])
        writer.writerows([*row, *added] for row, added in zip(rows, values, strict=True))


def _json_columns(path: Path, notes: Notes) -> list[str]:
    with files.opened_text(path, notes["encoding"], newline="\n") as handle:
        lines = filter(str.strip, files.lines_of(handle, []))
        return list({name: None for line in lines for name in json.loads(line)})


def _json_lines(path: Path, notes: Notes, out: Path, names: list[str], values: Rows, first: str) -> None:
    """Keep each object as it is written, to the last digit: what is added goes before its closing brace."""
    with (
        files.opened_text(path, notes["encoding"], newline="\n") as source,
        open(out, "w", encoding="utf-8", newline="\n") as target,
    ):
        lines = filter(str.strip, files.lines_of(source, []))
        for line, added in zip(lines, values, strict=True):
            kept = line.rstrip().removesuffix("}").rstrip()
            comma = "" if kept.endswith("{") else ", "
            more = json.dumps(dict(zip(names, added, strict=True)), ensure_ascii=False).removeprefix("{")
            target.write(f"{kept}{comma}{more}\n")


def _parquet_columns(path: Path, notes: Notes) -> list[str]:
    import pyarrow.parquet

    with files.seekable(path) as whole:
        return list(pyarrow.parquet.read_schema(whole).names)


def _parquet(path: Path, notes: Notes, out: Path, names: list[str], values: Rows, first: str) -> None:
    """Keep the schema."""
    import pyarrow
    import pyarrow.parquet

    types = [pyarrow.type_for_alias(first), *[pyarrow.float64()] * (len(names) - 1)]
    with (
        files.seekable(path) as whole,
        pyarrow.parquet.ParquetFile(whole, pre_buffer=False, buffer_size=1 << 20) as file,
    ):
        schema = file.schema_arrow
        for name, kind in zip(names, types, strict=True):
            schema = schema.append(pyarrow.field(name, kind))
        with pyarrow.parquet.ParquetWriter(out, schema) as writer:
            for batch in file.iter_batches(GROUP):
                added = zip(*islice(values, len(batch)), strict=True)
                arrays = [pyarrow.array(column, kind) for column, kind in zip(added, types, strict=True)]
                writer.write_batch(pyarrow.record_batch([*batch.columns, *arrays], schema=schema))


def _delimited_rows(path: Path, notes: Notes) -> Rows:
    return (row for number, _, row in delimited.records(path, notes) if number)


def _json_rows(path: Path, notes: Notes) -> Rows:
    there = _json_columns(path, notes)
    with files.opened_text(path, notes["encoding"], newline="\n") as handle:
        for line in filter(str.strip, files.lines_of(handle, [])):
            values = json.loads(line)
            yield [values.get(name) for name in there]


def _parquet_rows(path: Path, notes: Notes) -> Rows:
    import pyarrow.parquet

    with (
        files.seekable(path) as whole,
        pyarrow.parquet.ParquetFile(whole, pre_buffer=False, buffer_size=1 << 20) as file,
    ):
        for batch in file.iter_batches(GROUP):
            yield from map(list, zip(*(column.to_pylist() for column in batch.columns), strict=True))


def _workbook_columns(path: Path, notes: Notes) -> list[str]:
    _, header = next(workbooks.records(path, notes))
    return list(map(cells.name, header))


def _workbook_rows(path: Path, notes: Notes) -> Rows:
    return (row for number, row in workbooks.records(path, notes) if number)


@dataclass(frozen=True)
class Format:
    """How all of a file is read again, its columns and its rows; and, if it can be, written with columns added."""

    columns: Callable[[Path, Notes], list[str]]
    rows: Callable[[Path, Notes], Rows]
    widen: Callable[[Path, Notes, Path, list[str], Rows, str], None] | None = None


FORMATS = {
    "_delimited": Format(_delimited_columns, _delimited_rows, _delimited),
    "json_lines": Format(_json_columns, _json_rows, _json_lines),
    "_parquet": Format(_parquet_columns, _parquet_rows, _parquet),
    "_workbook": Format(_workbook_columns, _workbook_rows),
}
