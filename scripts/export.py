"""Export a finished run to ONNX, whatever library trained it: python scripts/export.py RUN --format onnx [--int8]."""

import argparse
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from harness.base import bootstrap
from harness.base.errors import guarded


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", metavar="RUN", help="a run's folder, or its name in the folder of results")
    parser.add_argument("--format", required=True, choices=["onnx"])
    parser.add_argument("--int8", action="store_true", help="also with weights in 8 bits, and what that costs on test")
    parser.add_argument("--out", type=Path, help="a new folder (default: onnx, in the run's)")
    parser.add_argument("--outputs", type=Path, default=Path("outputs"), help="the folder of results (default outputs)")
    arguments = parser.parse_args()
    from harness.use import export, saved

    run = saved.find(arguments.run, arguments.outputs.expanduser().absolute())
    saved.check(run)
    out = arguments.out and arguments.out.expanduser().absolute()
    print(export.export(run, out, arguments.int8))
    return 0


if __name__ == "__main__":
    bootstrap.enter()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as clean as Ctrl-C
    sys.exit(guarded(main))
