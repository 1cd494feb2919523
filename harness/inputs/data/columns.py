"""Where a table has its header, and in it the columns that one wants; names count as `cells.name` reads them."""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.base.errors import UserError, nearest
from harness.inputs.data import cells
from harness.inputs.data.source import Notes

TOP = 20  # rows that the header is looked for in
SHOWN = 50  # columns listed in an error


class ColumnError(UserError):
    """A file has no column of a name, or several."""


def places(where: Any, header: Sequence[str], wanted: Sequence[str], notes: Notes, hint: str = "") -> list[int]:
    """Return the place in the header of each of `wanted`, which must stand there once; ColumnError, with `hint`, else.

    Which of these headers hold what cannot be seen goes to the notes.
    """
    there = list(map(cells.name, header))
    shown = ", ".join(f"`{column}`" for column in there[:SHOWN]) + (", …" if len(there) > SHOWN else "")
    for column in map(cells.name, wanted):
        if column not in there:
            raise ColumnError(
                f"{where}: there is no column `{column}`; there are {shown}.{nearest(column, there)}{hint}"
            )
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


@functools.lru_cache(8)
def _folded(header: tuple[str, ...]) -> tuple[str, ...]:
    """Return names without their case."""
    return tuple(cells.name(cell).casefold() for cell in header)


def question(rows: Sequence[Sequence[str]], lines: Sequence[int], wanted: Sequence[str]) -> str:
    """Return the question whether a row that has all `wanted` is the header, where there is one, with its line."""
    names = set(map(cells.name, wanted))
    found = [line for line, row in zip(lines, rows, strict=True) if names <= set(map(cells.name, row))]
    return f"\nIs line {found[0]} the header? Then take away what stands above it." if found else ""


def likeliest(rows: Sequence[Sequence[str]]) -> int:
    """Return the place of the likeliest header: the first row, or the first below rows that hold one cell alone."""
    return next((place for place, row in enumerate(rows[:TOP]) if filled(row) > 1), 0)


def is_header(row: Sequence[str], header: Sequence[str], path: Path, number: int) -> bool:
    """Tell whether a row, of this `number`, is the `header` once more, in whatever case.

    Raises UserError where it has the same columns in another order: what follows would be read in the wrong ones.
    """
    names = _folded(tuple(header))
    if len(row) < 2 or len(row) != len(header) or cells.name(row[0]).casefold() not in names:
        return False
    again = [cells.name(cell).casefold() for cell in row]
    if sorted(again) != sorted(names):
        return False
    if again == list(names):
        return True
    raise UserError(
        f"{path}, row {number}: the header again, with the columns in another order. Were files put one after the "
        "other?\nBring the columns of what follows into the order of the first header, and take that row out."
    )
