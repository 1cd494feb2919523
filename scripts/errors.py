"""What a finished run got wrong, the most confident mistakes first: python scripts/errors.py RUN [--split test].

Each run leaves errors.csv, of the valid split. This shows the first of it, and writes errors_test.csv where test is
asked for: who looks at the mistakes on test, and then changes something, has no test split any more.
"""

import argparse
import csv
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from harness.base import bootstrap
from harness.base.errors import guarded, writing


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", metavar="RUN", help="a run's folder, or its name in the folder of results")
    parser.add_argument("--split", choices=["valid", "test"], default="valid")
    parser.add_argument("--show", type=int, default=20, metavar="N", help="how many to show (default 20)")
    parser.add_argument("--outputs", type=Path, default=Path("outputs"), help="the folder of results (default outputs)")
    arguments = parser.parse_args()
    from harness.base import screen
    from harness.use import mistakes, saved

    run = saved.find(arguments.run, arguments.outputs.expanduser().absolute())
    saved.check(run)
    with writing("--outputs", run.folder):
        path = mistakes.written(run, arguments.split)
    with open(path, encoding="utf-8", newline="") as handle:
        head, *rows = csv.reader(handle)
    shown = rows[: max(0, arguments.show)]
    parts: list[screen.Lines | screen.Table] = [screen.Table(head, shown, {1, 2, 3})] if shown else []
    screen.say(screen.console(), *parts, screen.Lines(f"{path}: {len(rows):,} rows, {len(shown):,} shown"))
    return 0


if __name__ == "__main__":
    bootstrap.enter()
    sys.exit(guarded(main))
