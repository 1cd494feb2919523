"""Text and tables no wider than the terminal: words stay whole, and a table that does not fit is stacked.

Elsewhere than on a terminal (`width` is None) no line is broken. Standard library only.
"""

import re
import shlex
import shutil
import sys
import textwrap
from collections.abc import Collection, Iterator, Sequence
from itertools import zip_longest

GAP = "  "  # between columns
READABLE = 20  # characters that a column of words has at least, if they fill it
BANDS = 3  # parts that a wide table is shown in, at most


def columns() -> int | None:
    """Return the width of the terminal that standard output is, in characters; None where it is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def wrapped(text: str, width: int | None) -> Iterator[str]:
    """Yield the lines of a text; what is broken goes on below its beginning, a command so that it can be pasted."""
    for line in text.split("\n"):
        if width is None or len(line) <= width:
            yield line
        elif re.match(r" *python ", line):
            yield from continued(line, width)
        else:
            begun = len(re.match(r" *(?:\S+ {2,}|- )?", line)[0])  # type: ignore[index]  # it matches everything
            yield from folded(line, width, min(begun, width // 3))


def folded(line: str, width: int, hanging: int) -> list[str]:
    """Return a line in pieces of at most `width`, but for longer words, all but the first with `hanging` spaces."""
    indent = " " * hanging
    return textwrap.wrap(
        line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False, drop_whitespace=True
    )


def continued(line: str, width: int) -> Iterator[str]:
    """Yield a command over several lines, as a shell reads it."""
    indent = " " * min(len(line) - len(line.lstrip()), width // 4)
    begun = indent
    for word in shlex.split(line, posix=False):  # quotes stay
        if begun.strip() and len(begun) + len(word) + 3 > width:
            yield begun + "\\"
            begun = indent + "    "
        begun += word + " "
    yield begun.rstrip()


def widths(rows: Sequence[Sequence[str]], text: Collection[int], width: int | None) -> list[int] | None:
    """Return how wide each column is to be; None where they do not fit.

    `rows` begin with the head. Only columns of words, `text`, and the head break, and never a word.
    """
    columns = list(zip(*rows, strict=True))
    whole = [max(1, *map(len, column)) for column in columns]
    if width is None:
        return whole
    least = []
    for place, (head, *cells) in enumerate(columns):
        words = [word for cell in (columns[place] if place in text else [head]) for word in cell.split()]
        figures = [] if place in text else cells
        least.append(max([1, *map(len, [*words, *figures]), min(whole[place], READABLE) if place in text else 0]))
    spare = width - sum(least) - len(GAP) * (len(least) - 1)
    if spare < 0:
        return None
    wanted = sorted((whole[place] - least[place], place) for place in range(len(least)))
    for left, (more, place) in zip(range(len(wanted), 0, -1), wanted, strict=True):
        given = min(more, spare // left)
        least[place], spare = least[place] + given, spare - given
    return least


def bands(
    rows: Sequence[Sequence[str]], text: Collection[int], width: int | None, names: int = 1
) -> list[list[int]] | None:
    """Return the columns of each of the tables that a table is shown as: one, or a few narrower ones, or None.

    The first columns, so many as name a row, stand in each.
    """
    key, found = list(range(names)), [list(range(names))]
    for place in range(names, len(rows[0])):
        if not fit(rows, text, [*found[-1], place], width):
            found.append([*key])
        if not fit(rows, text, [*found[-1], place], width):
            return None
        found[-1].append(place)
    return found if len(found) <= BANDS else None


def fit(
    rows: Sequence[Sequence[str]], text: Collection[int], places: Sequence[int], width: int | None
) -> list[int] | None:
    """Return the widths of some of the columns, where they fit."""
    some = [[row[place] for place in places] for row in rows]
    return widths(some, {new for new, place in enumerate(places) if place in text}, width)


def table(
    head: Sequence[str] | None,
    rows: Sequence[Sequence[str]],
    text: Collection[int],
    width: int | None,
    names: int = 1,
) -> Iterator[str]:
    """Yield the lines of a table, `text` columns to the left; where it does not fit, in parts, or each row stacked.

    Its first columns, so many as `names`, name a row.
    """
    everything = [*([head] if head else []), *rows]
    parts = bands(everything, text, width, names)
    if parts is None:
        yield from stacked(head, rows, width or sys.maxsize)
    for number, places in enumerate(parts or []):
        if number:
            yield ""
        found = fit(everything, text, places, width) or []
        for row in everything:
            yield from line(row, places, found, text)


def line(row: Sequence[str], places: Sequence[int], sizes: Sequence[int], text: Collection[int]) -> Iterator[str]:
    """Yield the lines that some cells of a row take."""
    cells = [folded(row[place], size, 0) or [""] for place, size in zip(places, sizes, strict=True)]
    for parts in zip_longest(*cells, fillvalue=""):
        columns = zip(parts, places, sizes, strict=True)
        yield GAP.join(
            part.ljust(size) if place in text else part.rjust(size) for part, place, size in columns
        ).rstrip()


def stacked(head: Sequence[str] | None, rows: Sequence[Sequence[str]], width: int) -> Iterator[str]:
    """Yield each row below its first cell: a line or more for each of the others, with the name of its column."""
    for row in rows:
        titles = [f"{name}: " if name else "" for name in head] if head else [""] * len(row)
        yield from folded(f"{titles[0]}{row[0]}", width, 2)
        for title, cell in zip(titles[1:], row[1:], strict=True):
            if cell:
                yield from folded(f"  {title}{cell}", width, 4)
