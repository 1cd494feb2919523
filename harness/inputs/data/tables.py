"""Tables in files (csv, tsv, JSON lines, parquet, workbooks) as streams of the cells of the columns one wants."""

import json
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path, PurePath
from typing import Any

from harness.base.errors import UserError
from harness.inputs.data import cells, delimited, files, workbooks
from harness.inputs.data.columns import ColumnError, places
from harness.inputs.data.encoding import encoding_of, is_wide, mark
from harness.inputs.data.source import Notes

Cells = Iterator[tuple[int, list[Any]]]  # the row's number, counted from 1; its cells in the order asked for


@dataclass(frozen=True)
class Options:
    """How a file is read; None: as is found out. `encoding` is of text, `sheet` the name of one in a workbook."""

    encoding: str | None = None
    sheet: str | None = None


Reader = Callable[[Path, list[str], Options, Notes], Cells]

BATCH = 1000  # parquet rows in memory
MOST_KEYS = 1000  # of JSON objects that are remembered


def read_table(path: Path, columns: list[str], options: Options, notes: Notes) -> Cells:
    """Stream the cells of `columns` from a file whose format its ending names, packed or not; memory is bounded.

    Raises UserError for a file that is missing, unreadable, not what its name says or not well formed, and for
    columns it does not have. What was found out (encoding, delimiter, …) goes to `notes`.
    """
    reader = reader_of(path)
    files.check_file(path)
    with files.explained(path):
        yield from reader(path, columns, options, notes)


def reader_of(path: Path) -> Reader:
    """Return the reader of a file, by the ending of its name, or of the file's that is packed in it; or UserError."""
    return reader_for(path, files.name_of(path))


def reader_for(path: Path, name: PurePath) -> Reader:
    """Return the reader for the ending of a file's `name`, or raise UserError."""
    reader = READERS.get(name.suffix.lower())
    if reader is None:
        within = "" if name.name == path.name else f" (it holds {name})"
        raise UserError(
            f"{path}: what kind of file is this{within}? The endings {', '.join(READERS)} are read, also within "
            f"{', '.join(files.PACKED)}; export anything else as CSV."
        )
    return reader


def json_lines(path: Path, columns: list[str], options: Options, notes: Notes) -> Cells:
    """Stream the values of the keys `columns` from a file of one JSON object a line; rows are numbered by line.

    A table's columns are the keys of all its objects: an object without one of them has an empty cell there. So a
    key is missing where no object has it.
    """
    encoding = _text_encoding(path, options.encoding, notes, array="[")
    wanted = list(map(cells.name, columns))
    keys: dict[str, None] = {}  # as they are written, in order of appearance
    spelt: dict[str, str] = {}  # the key as it is written -> the column wanted
    nuls: list[int] = []
    with files.opened_text(path, encoding, newline="\n") as handle:
        for number, line in enumerate(files.lines_of(handle, nuls), 1):
            if not line.strip():
                continue
            values = json_object(path, number, line)
            for key in values.keys() - keys.keys():
                if cells.name(key) in wanted:
                    spelt[key] = cells.name(key)
            keys.update(dict.fromkeys(values if len(keys) < MOST_KEYS else spelt))
            found = {}
            for key in spelt.keys() & values.keys():
                if spelt[key] in found:
                    raise ColumnError(f"{path}, line {number}: two keys are named `{spelt[key]}`. Rename one.")
                found[spelt[key]] = values[key]
            yield number, [found.get(column) for column in wanted]
    if keys:
        places(path, list({cells.name(key): key for key in keys}.values()), columns, notes)
    notes.update({"nul_lines": nuls} if nuls else {})


def json_object(path: Path, number: int, line: str) -> dict[str, Any]:
    """Return the object in a line of JSON; UserError, with the line's number, for anything else."""
    try:
        values = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}, line {number}: this is not JSON ({error}). Each line must hold one object.") from None
    if not isinstance(values, dict):
        raise UserError(f"{path}, line {number}: this is JSON, but no object {{…}}. Each line must hold one object.")
    return values


def _delimited(path: Path, columns: list[str], options: Options, notes: Notes) -> Cells:
    """Stream the cells of `columns` from a file of separated values with a header."""
    _text_encoding(path, options.encoding, notes)
    return delimited.columns(path, columns, notes)


def _workbook(path: Path, columns: list[str], options: Options, notes: Notes) -> Cells:
    """Stream the cells of `columns`, as text, from a sheet of a workbook."""
    return workbooks.columns(path, columns, options.sheet, notes)


def _parquet(path: Path, columns: list[str], options: Options, notes: Notes) -> Cells:
    """Stream the cells of `columns` from a parquet file."""
    if not files.head_of(path).startswith(b"PAR1"):
        raise UserError(f"{path} is no parquet file: it looks like {files.looks_like(path) or 'text'}.")
    import pyarrow
    import pyarrow.parquet

    try:
        with (
            files.seekable(path) as whole,
            pyarrow.parquet.ParquetFile(whole, pre_buffer=False, buffer_size=1 << 20) as file,
        ):
            names = file.schema_arrow.names
            columns = [names[place] for place in places(path, names, columns, notes)]
            batches = file.iter_batches(BATCH, columns=columns)
            rows = (zip(*(batch.column(c).to_pylist() for c in columns), strict=True) for batch in batches)
            for number, row in enumerate(chain.from_iterable(rows), 1):
                yield number, list(row)
    except pyarrow.ArrowException as error:
        raise UserError(f"{path}: this parquet file is damaged ({error}). Write or fetch it again.") from None


READERS: dict[str, Reader] = {
    **dict.fromkeys((".csv", ".tsv", ".txt"), _delimited),
    **dict.fromkeys((".jsonl", ".ndjson", ".json"), json_lines),
    ".parquet": _parquet,
    **dict.fromkeys((".xlsx", ".xlsm", ".xlsb", ".xls", ".ods"), _workbook),
}


def has_sheets(path: Path) -> bool:
    """Tell whether a file is a workbook, by its name."""
    return reader_of(path) is _workbook


def _text_encoding(path: Path, chosen: str | None, notes: Notes, array: str = "") -> str:
    """Return the file's encoding, noted; UserError for a file that is no such text."""
    looks = None if is_wide(chosen or mark(path)) else files.looks_like(path)
    if looks:
        raise UserError(f"{path} is not what its name says: it looks like {looks}.")
    notes["encoding"] = encoding = encoding_of(path, chosen)
    with files.opened_text(path, encoding) as handle:
        start = handle.read(files.HEAD).lstrip()[:1]
    if array and start == array:
        raise UserError(
            f"{path} holds one JSON array. Write one JSON object a line instead, without [ , and ]:\n"
            f"jq -c '.[]' {shlex.quote(str(path))} > {shlex.quote(path.name.partition('.')[0])}.jsonl does so."
        )
    if not array and start == "{":
        raise UserError(f"{path} is not what its name says: it looks like JSON. Name it .jsonl if it is JSON lines.")
    return encoding
