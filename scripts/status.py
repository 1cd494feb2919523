"""Show what a sweep does now: which runs are running, finished, failed or waiting, and the time left.

It looks at the results alone, so it may run anywhere that sees them. On a terminal it goes on until the sweep ends.
"""

import argparse
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from harness.base import bootstrap
from harness.base.errors import UserError, guarded

EVERY = 1.0  # seconds between two looks


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sweep", nargs="?", metavar="SWEEP", help="its name, or how it begins (default: the newest)")
    parser.add_argument("--outputs", type=Path, default=Path("outputs"), help="the folder of results (default outputs)")
    parser.add_argument("--once", action="store_true", help="look once, on a terminal too")
    arguments = parser.parse_args()
    from harness.sweeps import look, record, tables

    outputs = arguments.outputs.expanduser().absolute()
    folder = chosen(record.known(outputs), arguments.sweep, outputs)
    sweep = record.Record.read(folder)
    if arguments.once or not sys.stdout.isatty():
        tables.show(*tables.now(sweep, look.look(folder), outputs))
        return 0
    from rich.live import Live

    with Live() as live:
        while True:
            seen = look.look(folder)
            live.update(tables.together(*tables.now(sweep, seen, outputs)), refresh=True)
            if not any(one.status in ("running", "waiting") for one in seen):
                return 0
            time.sleep(EVERY)


def chosen(folders: list[Path], name: str | None, outputs: Path) -> Path:
    """Return the folder of the sweep that is meant."""
    found = [folder for folder in folders if folder.name.startswith(name or "")]
    if name and len(found) > 1:
        found = [folder for folder in found if folder.name == name] or found
    if not found or (name and len(found) > 1):
        there = ", ".join(folder.name for folder in folders) or "none; `python train.py -m …` makes one"
        what = f"{len(found)} sweeps begin with {name}" if name else "there is no sweep"
        raise UserError(f"{what} in {outputs}. There are: {there}.", code=2)
    return found[-1]


if __name__ == "__main__":
    bootstrap.enter()
    sys.exit(guarded(main))
