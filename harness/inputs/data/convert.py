"""A table in a file written again in another format (csv, tsv, JSON lines, parquet), with columns added.

Cells keep their values, not their spelling. A list or an object of JSON is JSON text where the format has no such
thing. A column of parquet has one type: truth values, whole numbers, numbers, or text.
"""

import csv
import json
import math
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from harness.inputs.data.source import Notes
from harness.inputs.data.widen import GROUP, Rows, columns_of, rows_of

EXACT = 1 << 53  # the whole numbers up to it are float64 too
Columns = dict[str, str]  # the names, and the types in pyarrow's words


def convert(path: Path, notes: Notes, out: Path, names: list[str], values: Rows, first: str = "string") -> None:
    """Write the table in `path` to `out`, in the format of its ending, with the columns `names` added.

    It has been read to its end, with these notes. The first added column is of the type `first`, in parquet's words,
    the others are numbers; memory is bounded. Raises ValueError where there are not as many rows as values.
    """
    there = columns_of(path, notes)
    parquet = out.suffix.lower() == ".parquet"
    types = types_of(rows_of(path, notes), len(there)) if parquet else ["string"] * len(there)
    types += [first, *["float64"] * (len(names) - 1)]
    widened = ([*cells, *added] for cells, added in zip(rows_of(path, notes), values, strict=True))
    WRITERS[out.suffix.lower()](out, dict(zip(distinct([*there, *names]), types, strict=True)), widened, notes)


def distinct(names: list[str]) -> list[str]:
    """Return the names of columns with those told apart by their place that are empty or stand there twice."""
    return [
        name if name and names.count(name) == 1 else f"{name or 'column'}_{place}"
        for place, name in enumerate(names, 1)
    ]


def types_of(rows: Iterator[list[Any]], columns: int) -> list[str]:
    """Return the type of each column: the narrowest that loses none of its cells."""
    seen: list[set[str]] = [set() for _ in range(columns)]
    for cells in rows:
        for found, cell in zip(seen, cells, strict=True):
            if cell is not None:
                found.add(type_of(cell))
    return [type_for(found) for found in seen]


def type_of(cell: Any) -> str:
    if isinstance(cell, int) and not isinstance(cell, bool) and abs(cell) > EXACT:
        return "long" if -(1 << 63) <= cell < 1 << 63 else "longer"
    return type(cell).__name__


def type_for(found: set[str]) -> str:
    if found == {"bool"}:
        return "bool"
    if found and found <= {"int", "long"}:
        return "int64"
    return "float64" if found and found <= {"int", "float"} else "string"


def text(cell: Any) -> str | None:
    """Return a cell as text: numbers and truth values as JSON has them, and what has parts too."""
    if cell is None or cell != cell:  # no number
        return None
    if isinstance(cell, str):
        return cell.encode("utf-8", "backslashreplace").decode()  # JSON may hold half a character
    if isinstance(cell, (bool, int, float, list, dict)):
        return json.dumps(cell, ensure_ascii=False, default=str)
    return str(cell)  # a date


def _delimited(delimiter: str) -> Callable[[Path, Columns, Rows, Notes], None]:
    def write(out: Path, columns: Columns, rows: Rows, notes: Notes) -> None:
        marked = notes.get("encoding") == "utf-8-sig" or "sheet" in notes  # by the mark Excel knows UTF-8
        encoding = "utf-8-sig" if marked else "utf-8"
        with open(out, "w", encoding=encoding, newline="") as target:
            writer = csv.writer(target, delimiter=delimiter, lineterminator="\n")
            writer.writerow(map(text, columns))
            writer.writerows(map(text, cells) for cells in rows)

    return write


def _json_lines(out: Path, columns: Columns, rows: Rows, notes: Notes) -> None:
    with open(out, "w", encoding="utf-8", errors="backslashreplace", newline="\n") as target:
        for cells in rows:
            cells = [text(cell) if isinstance(cell, float) and not math.isfinite(cell) else cell for cell in cells]
            target.write(json.dumps(dict(zip(columns, cells, strict=True)), ensure_ascii=False, default=str) + "\n")


def _parquet(out: Path, columns: Columns, rows: Rows, notes: Notes) -> None:
    import pyarrow
    import pyarrow.parquet

    schema = pyarrow.schema([(name, pyarrow.type_for_alias(kind)) for name, kind in columns.items()])
    with pyarrow.parquet.ParquetWriter(out, schema) as writer:
        while group := list(islice(rows, GROUP)):
            arrays = []
            for column, kind in zip(zip(*group, strict=True), schema.types, strict=True):
                arrays.append(pyarrow.array(map(text, column) if kind == pyarrow.string() else column, kind))
            writer.write_batch(pyarrow.record_batch(arrays, schema=schema))


WRITERS: dict[str, Callable[[Path, Columns, Rows, Notes], None]] = {
    ".csv": _delimited(","),
    ".tsv": _delimited("\t"),
    **dict.fromkeys((".jsonl", ".ndjson", ".json"), _json_lines),
    ".parquet": _parquet,
}
