"""Sheets of Excel and OpenDocument workbooks as rows of text, as their export to CSV would have it."""

import datetime
import io
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import Any

from harness.base.errors import UserError, nearest
from harness.inputs.data import cells, files
from harness.inputs.data.columns import TOP, ColumnError, filled, header_among, is_header, likeliest, places, question
from harness.inputs.data.source import Notes

EXACT = 10**15  # whole numbers that a spreadsheet keeps to the last digit

Record = tuple[int, list[str]]  # the row's number (the header's: 0) and its cells


def columns(path: Path, wanted: list[str], sheet: str | None, notes: Notes) -> Iterator[tuple[int, list[str]]]:
    """Stream the cells of `wanted` from the sheet of that name (None: the first); the notes get the layout found."""
    with _opened(path) as book:
        notes["sheet"] = _sheet(path, book, sheet)
        hint = lay_out(path, book, wanted, notes)
        rows = _records(path, book, notes)
        _, header = next(rows)
        try:
            found = places(f"{path}, sheet {notes['sheet']}", header, wanted, notes, hint)
        except ColumnError as error:
            if others := [name for name in book.sheet_names if name != notes["sheet"]]:
                raise ColumnError(f"{error}\nOther sheets are {_listed(others)}: data.sheet=NAME takes one.") from None
            raise
        for number, row in rows:
            yield number, [row[place] for place in found]


def records(path: Path, notes: Notes) -> Iterator[Record]:
    """Yield the header and the rows of the sheet that the notes name; rows without any content are skipped.

    A cell that is merged with those below it stands for each of them. The header where it stands again among the rows
    is left out; the notes tell.
    """
    with _opened(path) as book:
        yield from _records(path, book, notes)


def _records(path: Path, book: Any, notes: Notes) -> Iterator[Record]:
    repeated, header = list[int](), list[str]()
    rows = (row for number, row in _rows(book, notes) if number >= notes.get("header_line", 1))
    for number, row in enumerate(filter(filled, rows)):
        header = header or row
        if number and is_header(row, header, path, number):
            repeated.append(number)
        else:
            yield number, row
    notes.update({"repeated_headers": repeated} if repeated else {})


def lay_out(path: Path, book: Any, wanted: list[str], notes: Notes) -> str:
    """Find the row of the header; a title above it is passed over. Both go to the notes, counted as the sheet does.

    Where no row has all `wanted`, the likeliest is taken, and what may help is returned.
    """
    top = list(islice(((number, row) for number, row in _rows(book, notes) if filled(row)), TOP))
    if not top:
        raise UserError(f"{path}, sheet {notes['sheet']} is empty: the first row must hold the names of the columns.")
    rows = [row for _, row in top]
    found = header_among(rows, wanted)
    place = likeliest(rows) if found is None else found
    if top[place][0] > 1:
        notes["header_line"] = top[place][0]
    if above := [number for number, _ in top[:place]]:
        notes["title_lines"] = above
    return question(rows, [number for number, _ in top], wanted)


def _rows(book: Any, notes: Notes) -> Iterator[tuple[int, list[str]]]:
    """Yield the number in the sheet, counted from 1, and the cells of each row; of merged ones each has the value."""
    sheet = book.get_sheet_by_name(notes["sheet"])
    left = (sheet.start or (0, 0))[1]
    merged = [(first, last) for first, last in sheet.merged_cell_ranges or [] if last[0] > first[0]]
    merged.sort(reverse=True)
    reaching: list[tuple[int, int, str]] = []  # of merged cells: the last row, the column, the value
    for number, row in enumerate(sheet.iter_rows()):
        texts = list(map(_text, row))
        reaching = [one for one in reaching if one[0] >= number]
        for _, column, value in reaching:
            texts[column] = value
        while merged and merged[-1][0][0] <= number:
            (_, column), (last, _) = merged.pop()
            if 0 <= column - left < len(texts):
                reaching.append((last, column - left, texts[column - left]))
        yield number + 1, texts


def _text(cell: Any) -> str:
    """Return a cell as text: whole numbers without a point, dates as ISO 8601 has them."""
    if isinstance(cell, bool):
        return str(cell).upper()
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < EXACT:
        return str(int(cell))
    if isinstance(cell, datetime.datetime):
        return cell.isoformat(" ")
    return cell if isinstance(cell, str) else str(cell)


def _sheet(path: Path, book: Any, wanted: str | None) -> str:
    """Return the name of the sheet of that name, or of the first one that is shown and holds cells."""
    import python_calamine as calamine

    tables = [sheet for sheet in book.sheets_metadata if sheet.typ == calamine.SheetTypeEnum.WorkSheet]
    names = [sheet.name for sheet in tables]
    if wanted is None:
        shown = [sheet.name for sheet in tables if sheet.visible == calamine.SheetVisibleEnum.Visible]
        return next(chain(shown, names))
    found = [name for name in names if cells.name(name) == cells.name(wanted)]
    if not found:
        raise UserError(
            f"{path}, data.sheet={wanted}: there is no such sheet; there are {_listed(names)}.{nearest(wanted, names)}"
        )
    return found[0]


def _listed(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open a workbook; UserError for what is none, or is damaged or encrypted."""
    import python_calamine as calamine

    try:
        with files.opened(path) as handle:
            content = io.BytesIO(handle.read())
        with calamine.CalamineWorkbook.from_filelike(content) as book:  # by its content: names of workbooks often lie
            yield book
    except calamine.PasswordError:
        raise UserError(f"{path} is encrypted: take its password away in Excel (File, Info), or export it.") from None
    except calamine.CalamineError as error:
        looks = files.looks_like(path) or (
            "text; let its name end with .csv" if files.head_of(path) else "an empty file"
        )
        what = f"it is damaged ({error})" if "workbook" in looks else f"it looks like {looks}"
        raise UserError(f"{path} is no workbook that can be read: {what}.") from None
