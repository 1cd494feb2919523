"""Files of separated values: where their header is, how their cells are told apart, and their rows."""

import csv
import io
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from harness.base.errors import UserError
from harness.inputs.data import cells, files
from harness.inputs.data.columns import TOP, header_among, is_header, likeliest, places, question
from harness.inputs.data.source import Notes

LONGEST_CELL = 1 << 27  # characters; a quote left open would otherwise read a whole file into one cell
SAMPLE = 1 << 20  # characters that the layout is told from
LOOKED_AT = 1000  # rows of it
SEPARATOR = re.compile(r'"?sep=([^"\r\n])"?[\r\n]*')  # Excel's own first line

Record = tuple[int, int, list[str]]  # the row's number (the header's: 0); the line it ends in; its cells


def columns(path: Path, wanted: list[str], notes: Notes) -> Iterator[tuple[int, list[str]]]:
    """Stream the cells of `wanted`; of the notes `encoding` is needed, the layout that is found is added."""
    csv.field_size_limit(LONGEST_CELL)
    hint = lay_out(path, wanted, notes)
    rows = records(path, notes)
    _, _, header = next(rows)
    where = f"{path}, line {notes['header_line']}" if "header_line" in notes else path
    found = places(where, header, wanted, notes, hint)
    for number, line, row in rows:
        if len(row) != len(header):
            spaced = any(cell[:1] == " " and cell.lstrip(" ")[:1] == '"' for cell in row)
            raise UserError(
                f"{path}, row {number} (line {line}): {len(row)} cells, but the header has {len(header)}.\n"
                f"Put a cell that holds the delimiter {notes['delimiter']!r} or a line end in quotes"
                + (", without a space before the quote." if spaced else ".")
            )
        yield number, [row[place] for place in found]


def records(path: Path, notes: Notes) -> Iterator[Record]:
    """Yield the header and the rows of a file laid out as its notes say; blank lines are skipped.

    NUL characters are left out, and so is the header where it stands again among the rows; the notes tell. Raises
    UserError for a row that cannot be read.
    """
    above, nuls, repeated = notes.get("header_line", 1) - 1, list[int](), list[int]()
    with files.opened_text(path, notes["encoding"]) as handle:
        lines = islice(files.lines_of(handle, nuls), above, None)
        reader = csv.reader(
            lines, delimiter=notes["delimiter"], strict=True, skipinitialspace=notes.get("space_before_cells", False)
        )
        number, header = 0, list[str]()
        try:
            for row in reader:
                if not row or (_blank(row) and len(header) != 1):
                    continue
                if not header:
                    header = row
                    yield 0, above + reader.line_num, row
                    continue
                number += 1
                if is_header(row, header, path, number):
                    repeated.append(number)
                else:
                    yield number, above + reader.line_num, row
        except csv.Error as error:
            raise UserError(
                f"{path}, row {number + 1} (line {above + reader.line_num}): {error}. Is a quote left open?\n"
                'A cell that starts with " ends with it, and a " inside such a cell is written twice.'
            ) from None
    notes.update({"nul_lines": nuls} if nuls else {})
    notes.update({"repeated_headers": repeated} if repeated else {})


def lay_out(path: Path, wanted: list[str], notes: Notes) -> str:
    """Find the delimiter under which a header has all `wanted`, and its line; both go to the notes.

    Excel's `sep=;` in the first line says the delimiter. A title above the header is passed over. Where no header has
    all of `wanted`, the likeliest is taken, and what may help is returned.
    """
    with files.opened_text(path, notes["encoding"]) as handle:
        lines = list(files.lines_of(io.StringIO(handle.read(SAMPLE), newline=""), []))
    said = SEPARATOR.fullmatch(lines[0]) if lines else None
    delimiters = said[1] if said else "\t,;|" if files.name_of(path).suffix.lower() == ".tsv" else ",;\t|"
    tops = {delimiter: _Top(lines, 1 if said else 0, delimiter) for delimiter in delimiters}
    tops = {delimiter: top for delimiter, top in tops.items() if top.rows}
    if not "".join(lines[1 if said else 0 :]).strip():
        raise UserError(f"{path} is empty: the first line must hold the names of the columns.")
    if not tops:
        raise UserError(f"{path}, line 1: the header cannot be read. Is a quote left open?")
    delimiter, place = _header(tops, wanted)
    top = tops[delimiter]
    notes["delimiter"] = delimiter
    if top.lines[place] > 1:
        notes["header_line"] = top.lines[place]
    if place:
        notes["title_lines"] = top.lines[:place]
    if top.spaced:
        notes["space_before_cells"] = True
    return question(top.rows, top.lines, wanted)


def _header(tops: dict[str, "_Top"], wanted: list[str]) -> tuple[str, int]:
    """Return the delimiter, and the place among the first rows under it, of the header that has all `wanted`."""
    found = {delimiter: header_among(top.rows, wanted) for delimiter, top in tops.items()}
    right = {delimiter: place for delimiter, place in found.items() if place is not None}
    if right:
        return min(right.items(), key=lambda item: item[1])
    at = {delimiter: likeliest(top.rows) for delimiter, top in tops.items()}
    widths = {delimiter: len(top.rows[at[delimiter]]) for delimiter, top in tops.items()}
    delimiter = max(tops, key=lambda d: (widths[d] > 1, -at[d], widths[d]))
    return delimiter, at[delimiter]


def _blank(row: list[str]) -> bool:
    """Tell whether a line holds nothing, or nothing that can be seen (the Ctrl-Z that ends a file of DOS)."""
    return not row or (len(row) == 1 and cells.empty(row[0]))


class _Top:
    """The first rows of a sample under a delimiter, and the lines they start in, counted from 1."""

    def __init__(self, lines: list[str], skip: int, delimiter: str) -> None:
        rows, starts, self.spaced = self._read(lines[skip:], delimiter, False)
        if self.spaced:
            rows, starts, _ = self._read(lines[skip:], delimiter, True)
        self.rows = rows[:TOP]
        self.lines = [skip + 1 + start for start in starts[:TOP]]

    @staticmethod
    def _read(lines: list[str], delimiter: str, pass_over: bool) -> tuple[list[list[str]], list[int], bool]:
        """Return rows, starts, and whether a quote stands after a space, as in `a, "b, c"`.

        It opens a cell only where spaces are passed over.
        """
        rows, starts, spaced, start = list[list[str]](), list[int](), False, 0
        opening = re.compile(f'(?:^|{re.escape(delimiter)}) +"(?!")')
        reader = csv.reader(lines, delimiter=delimiter, strict=True, skipinitialspace=pass_over)
        try:
            for row in islice(reader, LOOKED_AT):
                if not _blank(row):
                    rows.append(row)
                    starts.append(start)
                if any(cell[:1] == " " and cell.lstrip(" ")[:1] == '"' for cell in row):
                    spaced = spaced or bool(opening.search("".join(lines[start : reader.line_num])))
                start = reader.line_num
        except csv.Error:
            pass  # reading all of it will tell
        return rows, starts, spaced
