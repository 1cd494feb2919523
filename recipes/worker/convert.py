"""Somebody's checkpoint -> a Hugging Face folder, in the library's environment, for scripts/convert.py.

`python -m recipes.worker.convert ORDER.json convert`: what is to be converted; what came of it is written beside.
"""

import importlib
import json
import sys
import traceback
from dataclasses import replace
from pathlib import Path

from recipes.contract.files import readable
from recipes.weights import leaving


def main(path: str, _: str) -> int:
    """Convert; write `converted.json`: what was left out, or what was wrong."""
    order = Path(path)
    asked = json.loads(order.read_text(encoding="utf-8"))
    try:
        found = importlib.import_module(f"recipes.{asked['library']}.leaving").read(Path(asked["checkpoint"]))
        if asked["names"]:
            found = replace(found, table=asked["names"], exact=True)
        made = leaving.convert(found, asked["like"], asked["told"])
        leaving.write(made, Path(asked["folder"]))
        readable(Path(asked["folder"]))
        said: dict[str, object] = {"left_out": made.left_out, "config": made.config}
    except Exception as error:  # anything can be in a file that somebody gives
        traceback.print_exc()
        expected = isinstance(error, ValueError)
        kind, library = type(error).__name__, asked["library"]
        unread = f"{library} cannot read it ({kind}): is it what {library} saved, and whole?"
        said = {"error": str(error) if expected else unread, "expected": expected}
    (order.parent / "converted.json").write_text(json.dumps(said), encoding="utf-8")
    return "error" in said


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
