"""Tables and text on the terminal by rich, which colours them; `layout` says how they fit."""

from collections.abc import Collection, Iterable, Sequence

import rich.table
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.text import Text

from harness.base import layout

ELSEWHERE = 1000  # columns where there is no terminal: no line is broken


def console() -> Console:
    """Return standard output as rich writes to it."""
    return Console(width=layout.columns() or ELSEWHERE, highlight=False)


def say(screen: Console, *parts: RenderableType) -> None:
    """Print parts; a word that is longer than the terminal is wide goes on in the next line, as terminals do it."""
    for part in parts:
        screen.print(part, crop=False)


class Lines:
    """Text in a style, wrapped."""

    def __init__(self, text: str, style: str = ""):
        self.text, self.style = text, style

    def __rich_console__(self, screen: Console, options: ConsoleOptions) -> RenderResult:
        for line in layout.wrapped(self.text, options.max_width):
            yield Text(line, self.style, no_wrap=True, overflow="ignore")


class Table:
    """Cells, of which some have a style; `text`: the columns of words, which stand left."""

    def __init__(self, head: Sequence[str], rows: Iterable[Sequence[str | Text]], text: Collection[int]):
        self.head, self.rows, self.text = head, [[*row] for row in rows], text

    def __rich_console__(self, screen: Console, options: ConsoleOptions) -> RenderResult:
        plain = [[str(cell) for cell in row] for row in self.rows]
        parts = layout.bands([self.head, *plain], self.text, options.max_width)
        if parts is None:
            yield Lines("\n".join(layout.stacked(self.head, plain, options.max_width)))
        for number, places in enumerate(parts or []):
            if number:
                yield ""
            drawn = rich.table.Table(box=None, pad_edge=False)
            widths = layout.fit([self.head, *plain], self.text, places, options.max_width) or []
            for place, width in zip(places, widths, strict=True):
                drawn.add_column(self.head[place], justify="left" if place in self.text else "right", width=width)
            for row in self.rows:
                drawn.add_row(*(Text.assemble(row[place]) for place in places))
            yield drawn
