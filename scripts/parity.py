"""Show that the libraries compute the same: controlled runs of each, held against a plain reference, in one table."""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from harness.base import bootstrap
from harness.base.errors import UserError, guarded

if TYPE_CHECKING:
    from harness.use.parity import Line


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "recipes", nargs="*", metavar="RECIPE", help="recipes to compare (default: all with an encoder)"
    )
    parser.add_argument(
        "--words",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="for all runs, such as model=camembert or env=PYTHON (the reference has the managed environment always)",
    )
    arguments = parser.parse_args()
    from harness.config import variants
    from harness.use.parity import Comparison

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
    """Print two tables with a column for each recipe: a line for each tensor, and one for each thing compared."""
    weights = {recipe: next(line.parts for line in lines if line.parts) for recipe, lines in found.items()}
    tensors = [[name, *(f"{weights[recipe][name]:.1e}" for recipe in found)] for name in next(iter(weights.values()))]
    table(["weights after training, relative difference", *map(short, found)], tensors)
    compared = []
    for row in zip(*found.values(), strict=True):
        allowed = " or ".join(
            f"{value:g}" for value in sorted({line.allowed for line in row if line.allowed is not None})
        )
        compared.append([row[0].what, allowed, *(f"{line.found:.1e}{'' if line.holds else ' NO'}" for line in row)])
    table(["largest difference from the reference", "allowed", *map(short, found)], compared)
    for recipe, lines in found.items():
        for line in filter(lambda line: line.remark, lines):
            print(f"{recipe}: {line.what}: {line.found:.1e} ({line.remark})")


def short(recipe: str) -> str:
    return recipe.removeprefix("recipe=").replace(" recipe.backend=", " on ")


def table(head: list[str], rows: list[list[str]]) -> None:
    from harness.base import screen

    left = {0, *(place for place, name in enumerate(head) if name == "allowed")}
    screen.say(screen.console(), screen.Table(head, rows, left))


if __name__ == "__main__":
    bootstrap.enter()
    sys.exit(guarded(main))
