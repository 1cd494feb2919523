"""Export a finished run: python scripts/export.py RUN --format onnx [--int8], whatever library trained it.

Or in a format of the library's own: --format stablehlo (recipes on JAX), --format saved_model (recipes on TensorFlow),
--format mxnet_symbol (recipe=mxnet).
"""

import argparse
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from harness.base import bootstrap
from harness.base.errors import UserError, guarded


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", metavar="RUN", help="a run's folder, or its name in the folder of results")
    parser.add_argument("--format", required=True, choices=["mxnet_symbol", "onnx", "saved_model", "stablehlo"])
    parser.add_argument("--int8", action="store_true", help="onnx: also with weights in 8 bits, and what that costs")
    parser.add_argument(
        "--out",
        type=Path,
        help="a new folder (default: in the run's, by the format's name, in place of an earlier one there)",
    )
    parser.add_argument("--env", metavar="PYTHON", help="the interpreter of a run that was made with env=PYTHON")
    parser.add_argument("--outputs", type=Path, default=Path("outputs"), help="the folder of results (default outputs)")
    arguments = parser.parse_args()
    if arguments.int8 and arguments.format != "onnx":
        raise UserError("--int8 is of --format onnx, which a run of any recipe with an encoder is exported to.", code=2)
    from harness.use import export, saved

    run = saved.find(arguments.run, arguments.outputs.expanduser().absolute())
    saved.check(run)
    out = arguments.out and arguments.out.expanduser().absolute()
    print(export.export(export.exporter(run, arguments.format, arguments.env), out, arguments.int8))
    return 0


if __name__ == "__main__":
    bootstrap.enter()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as clean as Ctrl-C
    sys.exit(guarded(main))
