"""Files of separated values: where their header is, how their cells are told apart, and their rows."""

import csv
import io
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from harness.data import cells, files
from harness.data.columns import TOP, header_among, is_header, likeliest, places
from harness.data.source import Notes
from harness.errors import UserError

LONGEST_CELL = 1 << 27  # characters; a quote left open would otherwise read a whole file into one cell
SAMPLE = 1 << 20  # characters that the layout is told from
LOOKED_AT = 1000  # rows of it
SEPARATOR = re.compile(r'"?sep=([^"\r\n])"?(\r\n|\r|\n|\Z)')  # Excel's own first line

Record = tuple[int, int, list[str]]  # the row's number (the header's: 0); the line it ends in; its cells


def columns(path: Path, wanted: list[str], notes: Notes) -> Iterator[tuple[int, list[str]]]:
    """Stream the cells of `wanted`; of the notes `encoding` is needed, the layout that is found is added."""
    csv.field_size_limit(LONGEST_CELL)
    lay_out(path, wanted, notes)
    rows = records(path, notes)
    _, _, header = next(rows)
    found = places(_where(path, notes), header, wanted, notes)
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
        lines = islice(files.without_nul(handle, nuls), above, None)
        reader = csv.reader(
            lines, delimiter=notes["delimiter"], strict=True, skipinitialspace=notes.get("space_before_cells", False)
        )
        number, names = -1, list[str]()
        try:
            for number, row in enumerate(filter(None, reader)):
                if number and is_header(row, names, path, number):
                    repeated.append(number)
                    continue
                names = names or list(map(cells.name, row))
                yield number, above + reader.line_num, row
        except csv.Error as error:
            raise UserError(
                f"{path}, row {number + 1} (line {above + reader.line_num}): {error}. Is a quote left open?\n"
                'A cell that starts with " ends with it, and a " inside such a cell is written twice.'
            ) from None
    notes.update({"nul_lines": nuls} if nuls else {})
    notes.update({"repeated_headers": repeated} if repeated else {})


def lay_out(path: Path, wanted: list[str], notes: Notes) -> None:
    """Find the delimiter under which a header has all `wanted`, and its line; both go to the notes.

    Excel's `sep=;` in the first line says the delimiter. A title above the header is passed over. Where no header has
    all of `wanted`, the likeliest is taken.
    """
    with files.opened_text(path, notes["encoding"]) as handle:
        sample = handle.read(SAMPLE).replace("\x00", "")
    said = SEPARATOR.match(sample)
    start = said.end() if said else 0
    delimiters = said[1] if said else "\t,;|" if files.name_of(path).suffix.lower() == ".tsv" else ",;\t|"
    tops = {delimiter: _Top(sample[start:], delimiter) for delimiter in delimiters}
    tops = {delimiter: top for delimiter, top in tops.items() if top.rows}
    if not sample[start:].strip():
        raise UserError(f"{path} is empty: the first line must hold the names of the columns.")
    if not tops:
        raise UserError(f"{path}, line 1: the header cannot be read. Is a quote left open?")
    found = {delimiter: header_among(top.rows, wanted) for delimiter, top in tops.items()}
    delimiter = min((d for d in tops if found[d] is not None), key=lambda d: found[d] or 0, default=None)
    if delimiter is None:
        at = {delimiter: likeliest(top.rows) for delimiter, top in tops.items()}
        widths = {delimiter: len(top.rows[at[delimiter]]) for delimiter, top in tops.items()}
        delimiter = max(tops, key=lambda d: (widths[d] > 1, -at[d], widths[d]))
        place = at[delimiter]
    else:
        place = found[delimiter] or 0
    top = tops[delimiter]
    notes["delimiter"] = delimiter
    if line := top.starts[place] + (1 if said else 0):
        notes["header_line"] = line + 1
    if above := [top.starts[row] + (2 if said else 1) for row in range(place)]:
        notes["title_lines"] = above
    if top.spaced:
        notes["space_before_cells"] = True


class _Top:
    """The first rows of a sample under a delimiter, and the lines they start in, counted from 0."""

    def __init__(self, sample: str, delimiter: str) -> None:
        lines = list(io.StringIO(sample, newline=""))
        self.rows, self.starts, self.spaced = self._read(lines, delimiter, False)
        if self.spaced:
            self.rows, self.starts, _ = self._read(lines, delimiter, True)
        self.rows, self.starts = self.rows[:TOP], self.starts[:TOP]

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
                if row:
                    rows.append(row)
                    starts.append(start)
                if any(cell[:1] == " " and cell.lstrip(" ")[:1] == '"' for cell in row):
                    spaced = spaced or bool(opening.search("".join(lines[start : reader.line_num])))
                start = reader.line_num
        except csv.Error:
            pass  # reading all of it will tell
        return rows, starts, spaced


def _where(path: Path, notes: Notes) -> str:
    return f"{path}, line {notes['header_line']}" if "header_line" in notes else str(path)
