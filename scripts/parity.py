"""Show that the libraries compute the same: controlled runs of each, held against a plain reference, in one table."""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from harness import bootstrap
from harness.errors import UserError, guarded

if TYPE_CHECKING:
    from harness.parity import Line


def main() -> int:
    from harness.config import variants
    from harness.parity import Comparison

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "recipes", nargs="*", metavar="RECIPE", help="recipes to compare (default: all with an encoder)"
    )
    parser.add_argument(
        "--words", nargs="+", default=[], metavar="KEY=VALUE", help="for all runs, such as model=camembert"
    )
    arguments = parser.parse_args()
    known = {words[0].partition("=")[2] for words in variants()}
    if unknown := sorted(set(arguments.recipes) - known):
        raise UserError(
            f"no recipe with an encoder is named {', '.join(unknown)}; there are {', '.join(sorted(known))}.", 2
        )
    chosen = [words for words in variants() if not arguments.recipes or words[0].partition("=")[2] in arguments.recipes]
    with tempfile.TemporaryDirectory() as place:
        comparison = Comparison(Path(place), arguments.words)
        found = {}
        for words in chosen:
            print(" ".join(words), "…", file=sys.stderr, flush=True)
            found[" ".join(words)] = comparison.lines(words)
    show(found)
    return 0 if all(line.holds for lines in found.values() for line in lines) else 1


def show(found: "dict[str, list[Line]]") -> None:
    """Print a table: a line for each thing compared, a column for each recipe."""
    from rich.console import Console
    from rich.table import Table

    table = Table("largest difference from the reference", "allowed", box=None)
    for recipe in found:
        table.add_column(recipe.removeprefix("recipe=").replace(" recipe.backend=", " on "), justify="right")
    for row in zip(*found.values(), strict=True):
        allowed = sorted({line.allowed for line in row if line.allowed is not None})
        figures = [f"{line.found:.1e}{'' if line.holds else ' NO'}" for line in row]
        table.add_row(row[0].what, " or ".join(f"{value:g}" for value in allowed), *figures)
    Console(width=None if sys.stdout.isatty() else 60 + 14 * len(found)).print(table)
    for recipe, lines in found.items():
        for line in filter(lambda line: line.remark, lines):
            print(f"{recipe}: {line.what}: {line.found:.1e} ({line.remark})")


if __name__ == "__main__":
    bootstrap.enter()
    sys.exit(guarded(main))
