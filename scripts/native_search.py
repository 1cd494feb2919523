"""Choose each recipe's learning rate on the valid split, the same rates for all, and run the choice with more seeds.

It does the runs of `train.py -m experiment=native_search` (what is finished is not repeated), takes for each recipe the
rate with the highest macro-F1 on valid, runs that with the seeds given, and prints both tables. Test figures play no
part in the choice.
"""

import argparse
import os
import statistics
import sys
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from harness.base import bootstrap, output
from harness.base.errors import UserError, guarded

if TYPE_CHECKING:
    from harness.runs.row import Row

RATE = "recipe.learning_rate"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", metavar="KEY=VALUE", help="for all runs, such as recipe=torch,flair")
    parser.add_argument("--seeds", default="0,1,2", help="of the runs with the chosen rates (default 0,1,2)")
    arguments = parser.parse_intermixed_args()
    recipes, rates = (swept(key, arguments.words) for key in ("recipe", RATE))
    words = [word for word in arguments.words if not word.startswith("recipe=")]
    print(
        "| recipe | " + " | ".join(f"{rate}" for rate in rates) + " |  macro-F1 on valid, by learning rate", flush=True
    )
    chosen = {}
    for recipe in recipes:
        found = [run([f"recipe={recipe}", f"{RATE}={rate}", *words])["valid.macro_f1"] for rate in rates]
        print(f"| {recipe} | " + " | ".join(f"{figure:.3f}" for figure in found) + " |", flush=True)
        chosen[recipe] = rates[found.index(max(found))]
    print(
        "| recipe | chosen | test accuracy | test macro-F1 | valid macro-F1 | training | samples/s | memory |",
        flush=True,
    )
    baseline = [run(["recipe=tfidf", f"seed={seed}", *words]) for seed in arguments.seeds.split(",")]
    print(line("tfidf", "", baseline), flush=True)
    for recipe, rate in chosen.items():
        rows = [run([f"recipe={recipe}", f"{RATE}={rate}", f"seed={s}", *words]) for s in arguments.seeds.split(",")]
        print(line(recipe, rate, rows), flush=True)
    return 0


def swept(key: str, words: list[str]) -> list[str]:
    """Return the values that the experiment, or a word of the command line, sweeps a key over."""
    import yaml

    text = (ROOT / "conf" / "experiment" / "native_search.yaml").read_text(encoding="utf-8")
    declared = yaml.safe_load(text)["hydra"]["sweeper"]["params"][key]
    given = [word.partition("=")[2] for word in words if word.startswith(f"{key}=")]
    return str(given[-1] if given else declared).split(",")


def run(words: list[str]) -> "Row":
    """Run train.py, unless the run is finished already; return its row."""
    from harness.runs.row import Row

    python = os.environ["FINETUNE_RECIPES_PYTHON"]
    command = [python, str(ROOT / "train.py"), "experiment=native_search", *words]
    done = output.answer(command)
    if done.returncode:
        raise UserError(f"`{' '.join(command[1:])}` failed:\n{(done.stdout + done.stderr)[-2000:]}")
    folder = next(row.split(maxsplit=1)[1] for row in done.stdout.splitlines() if row.startswith("  results "))
    return Row.read(Path(folder) / "result.json")


def line(recipe: str, rate: str, rows: list["Row"]) -> str:
    """Return a row of the table: means over the seeds, and the range of the macro-F1."""
    mean = {key: statistics.mean(row[key] or 0 for row in rows) for key in rows[0] if key in FIGURES}
    scores = [row["test.macro_f1"] for row in rows]
    return (
        f"| `{recipe}` | {rate} | {mean['test.accuracy']:.3f} | {mean['test.macro_f1']:.3f} "
        f"({min(scores):.3f} to {max(scores):.3f}) | {mean['valid.macro_f1']:.3f} | {mean['train.seconds']:.0f} s "
        f"| {mean['train.samples_per_second']:.0f} | {mean['memory.peak_rss_mb'] / 1000:.1f} GB |"
    )


FIGURES = {
    "test.accuracy", "test.macro_f1", "valid.macro_f1", "train.seconds", "train.samples_per_second",
    "memory.peak_rss_mb",
}  # fmt: skip


if __name__ == "__main__":
    bootstrap.enter()
    sys.exit(guarded(main))
