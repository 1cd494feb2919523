"""Choose each recipe's learning rate on the valid split, the same rates for all, and run the choice with more seeds.

It does the runs of `train.py -m experiment=native_search` (what is finished is not repeated), takes for each recipe the
rate that is best on valid by the task's primary figure (macro-F1), runs that with the seeds given, and prints both
tables. Test figures play no part in the choice.
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
    from harness.figures.metrics import Metrics
    from harness.runs.row import Row

RATE = "recipe.learning_rate"
COST = ("train.seconds", "train.samples_per_second", "memory.peak_rss_mb")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", metavar="KEY=VALUE", help="for all runs, such as recipe=torch,flair")
    parser.add_argument("--seeds", default="0,1,2", help="of the runs with the chosen rates (default 0,1,2)")
    arguments = parser.parse_intermixed_args()
    from harness.config import variants
    from harness.figures.metrics import of_row

    encoders = [recipe.partition("=")[2] for recipe, *others in variants() if not others]
    recipes, rates = swept("recipe", arguments.words) or encoders, swept(RATE, arguments.words) or declared()
    words = [word for word in arguments.words if not word.startswith(("recipe=", f"{RATE}="))]
    seeds = arguments.seeds.split(",")
    baseline = [run(["recipe=tfidf", f"seed={seed}", *words]) for seed in seeds]
    task = of_row(baseline[0])
    print(f"| recipe | {' | '.join(rates)} |  {task.primary_name} on valid, by learning rate", flush=True)
    chosen = {}
    for recipe in recipes:
        rows = [run([f"recipe={recipe}", f"{RATE}={rate}", *words]) for rate in rates]
        found = [row[f"valid.{task.primary}"] for row in rows]
        print(f"| {recipe} | {' | '.join(f'{figure:.3f}' for figure in found)} |", flush=True)
        chosen[recipe] = rates[max(range(len(rates)), key=lambda place: task.sign * found[place])]
    print(f"| recipe | chosen | {' | '.join(quality(task))} | training | samples/s | memory |", flush=True)
    print(line("tfidf", "", baseline), flush=True)
    for recipe, rate in chosen.items():
        rows = [run([f"recipe={recipe}", f"{RATE}={rate}", f"seed={seed}", *words]) for seed in seeds]
        print(line(recipe, rate, rows), flush=True)
    return 0


def swept(key: str, words: list[str]) -> list[str]:
    """Return the values that the last word of the command line for a key sweeps it over; none, where there is none."""
    given = [word.partition("=")[2] for word in words if word.startswith(f"{key}=")]
    return given[-1].split(",") if given else []


def declared() -> list[str]:
    """Return the learning rates that the experiment sweeps over."""
    import yaml

    text = (ROOT / "conf" / "experiment" / "native_search.yaml").read_text(encoding="utf-8")
    return str(yaml.safe_load(text)["hydra"]["sweeper"]["params"][RATE]).split(",")


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


def quality(task: "Metrics") -> dict[str, str]:
    """Return the columns of quality with their keys in a row: a summary's figures on test, the primary on valid."""
    shown = {f"test {task.figures[key].name}": f"test.{key}" for key in task.shown}
    return shown | {f"valid {task.primary_name}": f"valid.{task.primary}"}


def line(recipe: str, rate: str, rows: list["Row"]) -> str:
    """Return a row of the table: means over the seeds, and the range of each figure on test."""
    from harness.figures.metrics import of_row

    cells = []
    for key in quality(of_row(rows[0])).values():
        values = [row[key] for row in rows]
        between = f" ({min(values):.3f} to {max(values):.3f})" if key.startswith("test.") else ""
        cells.append(f"{statistics.mean(values):.3f}{between}")
    seconds, speed, memory = (statistics.mean(row[key] or 0 for row in rows) for key in COST)
    return f"| `{recipe}` | {rate} | {' | '.join(cells)} | {seconds:.0f} s | {speed:.0f} | {memory / 1000:.1f} GB |"


if __name__ == "__main__":
    bootstrap.enter()
    sys.exit(guarded(main))
