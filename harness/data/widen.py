"""A table in a file (csv, tsv, JSON lines, parquet) written again with columns added; all that was there stays.

It is read in the encoding and with the delimiter that `read_table` noted, and written as UTF-8.
"""

import csv
import json
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from harness.data.source import Notes
from harness.data.tables import reader_of

Rows = Iterator[list[Any]]  # the values of the added columns, row by row: text, number or None
GROUP = 10_000  # rows of a parquet row group


def columns_of(path: Path, notes: Notes) -> list[str]:
    """Return the names of all columns of a file that `read_table` has read to its end."""
    return FORMATS[reader_of(path).__name__][0](path, notes)


def widen(path: Path, notes: Notes, out: Path, names: list[str], values: Rows) -> None:
    """Write the table in `path` to `out`, with the columns `names` added; memory is bounded.

    Raises ValueError where there are not as many rows as values.
    """
    FORMATS[reader_of(path).__name__][1](path, notes, out, names, values)


def _delimited_columns(path: Path, notes: Notes) -> list[str]:
    with open(path, encoding=notes["encoding"], newline="") as handle:
        return [name.strip() for name in next(filter(None, csv.reader(handle, delimiter=notes["delimiter"])))]


def _delimited(path: Path, notes: Notes, out: Path, names: list[str], values: Rows) -> None:
    """Keep cells, delimiter, line ends, and the byte-order mark of UTF-8."""
    encoding = "utf-8-sig" if notes["encoding"] == "utf-8-sig" else "utf-8"
    with (
        open(path, encoding=notes["encoding"], newline="") as source,
        open(out, "w", encoding=encoding, newline="") as target,
    ):
        end = "\r\n" if source.readline().endswith("\r\n") else "\n"
        source.seek(0)
        rows = filter(None, csv.reader(source, delimiter=notes["delimiter"], strict=True))
        writer = csv.writer(target, delimiter=notes["delimiter"], lineterminator=end)
        writer.writerow([*next(rows), *names])
        writer.writerows([*cells, *added] for cells, added in zip(rows, values, strict=True))


def _json_columns(path: Path, notes: Notes) -> list[str]:
    with open(path, encoding=notes["encoding"], newline="\n") as handle:
        return list({name: None for line in handle if line.strip() for name in json.loads(line)})


def _json_lines(path: Path, notes: Notes, out: Path, names: list[str], values: Rows) -> None:
    """Keep each object as it is written, to the last digit: what is added goes before its closing brace."""
    with (
        open(path, encoding=notes["encoding"], newline="\n") as source,
        open(out, "w", encoding="utf-8", newline="\n") as target,
    ):
        for line, added in zip(filter(str.strip, source), values, strict=True):
            kept = line.rstrip().removesuffix("}").rstrip()
            comma = "" if kept.endswith("{") else ", "
            more = json.dumps(dict(zip(names, added, strict=True)), ensure_ascii=False).removeprefix("{")
            target.write(f"{kept}{comma}{more}\n")


def _parquet_columns(path: Path, notes: Notes) -> list[str]:
    import pyarrow.parquet

    return list(pyarrow.parquet.read_schema(path).names)


def _parquet(path: Path, notes: Notes, out: Path, names: list[str], values: Rows) -> None:
    """Keep the schema; the added columns are text where they hold a label, and numbers else."""
    import pyarrow
    import pyarrow.parquet

    types = [pyarrow.string(), *[pyarrow.float64()] * (len(names) - 1)]
    with pyarrow.parquet.ParquetFile(path, pre_buffer=False, buffer_size=1 << 20) as file:
        schema = file.schema_arrow
        for name, kind in zip(names, types, strict=True):
            schema = schema.append(pyarrow.field(name, kind))
        with pyarrow.parquet.ParquetWriter(out, schema) as writer:
            for batch in file.iter_batches(GROUP):
                added = zip(*islice(values, len(batch)), strict=True)
                arrays = [pyarrow.array(column, kind) for column, kind in zip(added, types, strict=True)]
                writer.write_batch(pyarrow.record_batch([*batch.columns, *arrays], schema=schema))


FORMATS: dict[str, tuple[Callable[[Path, Notes], list[str]], Callable[[Path, Notes, Path, list[str], Rows], None]]] = {
    "_delimited": (_delimited_columns, _delimited),
    "json_lines": (_json_columns, _json_lines),
    "_parquet": (_parquet_columns, _parquet),
}
