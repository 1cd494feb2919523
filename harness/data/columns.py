"""Where a table has its header, and in it the columns that one wants; names count as `cells.name` reads them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.data import cells
from harness.data.source import Notes
from harness.errors import UserError, nearest

TOP = 20  # rows that the header is looked for in
SHOWN = 50  # columns listed in an error


class ColumnError(UserError):
    """A file has no column of a name, or several."""


def places(where: Any, header: Sequence[str], wanted: Sequence[str], notes: Notes) -> list[int]:
    """Return the place in the header of each of `wanted`, which must stand there once; ColumnError else.

    Which of these headers hold what cannot be seen goes to the notes.
    """
    there = list(map(cells.name, header))
    shown = ", ".join(f"`{column}`" for column in there[:SHOWN]) + (", …" if len(there) > SHOWN else "")
    for column in map(cells.name, wanted):
        if column not in there:
            raise ColumnError(f"{where}: there is no column `{column}`; there are {shown}.{nearest(column, there)}")
        if there.count(column) > 1:
            raise ColumnError(
                f"{where}: {there.count(column)} columns are named `{column}`; there are {shown}. Rename them."
            )
    found = [there.index(cells.name(column)) for column in wanted]
    odd = {there[place]: list(cells.lost(header[place], there[place])) for place in found}
    if odd := {column: characters for column, characters in odd.items() if characters}:
        notes["headers_cleaned"] = odd
    return found


def filled(row: Sequence[Any]) -> int:
    """Return how many cells of a row hold something."""
    return sum(not cells.empty(cell) for cell in row)


def header_among(rows: Sequence[Sequence[str]], wanted: Sequence[str]) -> int | None:
    """Return the place, in the first rows of a table, of a header that has all `wanted` columns.

    Above a header may be a title: rows that are not as full. So no row of data is taken for one.
    """
    names = set(map(cells.name, wanted))
    for place, row in enumerate(rows[:TOP]):
        if names <= set(map(cells.name, row)) and all(filled(above) < filled(row) for above in rows[:place]):
            return place
    return None


def likeliest(rows: Sequence[Sequence[str]]) -> int:
    """Return the place of the likeliest header: the first row, or the first below rows that hold one cell alone."""
    return next((place for place, row in enumerate(rows[:TOP]) if filled(row) > 1), 0)


def is_header(row: Sequence[str], header: Sequence[str], path: Path, number: int) -> bool:
    """Tell whether a row is the header once more; `header` are its names, `number` is the row's.

    Raises UserError where it has the same columns in another order: what follows would be read in the wrong ones.
    """
    if len(row) < 2 or cells.name(row[0]) not in header or set(map(cells.name, row)) != set(header):
        return False
    if list(map(cells.name, row)) == list(header):
        return True
    raise UserError(
        f"{path}, row {number}: the header again, with the columns in another order. Were files put one after the "
        "other?\nBring the columns of what follows into the order of the first header, and take that row out."
    )
