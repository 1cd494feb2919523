"""Open what `logger=tensorboard` or `logger=mlflow` has written, in a browser: python scripts/watch.py tensorboard."""

import argparse
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from harness.base import environments
from harness.base.errors import UserError, guarded


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, epilog="Other arguments (--port 7000) go to the viewer.")
    parser.add_argument("viewer", choices=["tensorboard", "mlflow"])
    parser.add_argument("--outputs", type=Path, default=Path("outputs"), help="the folder of results (default outputs)")
    arguments, others = parser.parse_known_args()
    outputs = arguments.outputs.expanduser().absolute()
    if not outputs.is_dir():
        raise UserError(f"{outputs}: there is no such folder; runs with logger={arguments.viewer} make it.", code=2)
    command = {
        "tensorboard": ["tensorboard.main", "--logdir", str(outputs)],
        "mlflow": ["mlflow", "ui", "--backend-store-uri", f"sqlite:///{outputs / 'mlflow.db'}"],
    }[arguments.viewer]
    python = environments.ensure(arguments.viewer).python
    os.execv(python, [str(python), "-m", *command, *others])


if __name__ == "__main__":
    sys.exit(guarded(main))
