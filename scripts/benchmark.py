"""Run a recipe and a plain script with the same job side by side, in turn, and print both and their ratio.

harness     what the harness costs: recipe=hf_trainer against the same training with nobody who watches
loop        what a library costs: each recipe against a bare PyTorch loop
tutorials   what care brings: each recipe against its library's own tutorial, with the tutorial's settings
gpu         what one card, or another machine, does with all recipes, in minutes: see docs/gpu.md
sweep       what a sweep costs beyond its workers, and two one-thread runs at once against one (recipe=hf_trainer)
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from harness.base import bootstrap, environments, output
from harness.base.errors import UserError, guarded

BENCHMARKS = ROOT / "benchmarks"


@dataclass
class Measured:
    """One run: training in samples a second, quality on test, peak resident memory in MB (10^6 bytes).

    Quality is the task's primary figure, with its name.
    """

    speed: float
    name: str
    quality: float
    memory: float
    outside: float = 0.0  # seconds of our command outside the worker

    def __str__(self) -> str:
        return f"{self.speed:6.1f} samples/s, {self.name} {self.quality:.3f}, {self.memory:5.0f} MB"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("against", choices=["harness", "loop", "tutorials", "gpu", "sweep"])
    parser.add_argument("words", nargs="*", metavar="RECIPE | KEY=VALUE", help="recipes (default: all), and overrides")
    parser.add_argument("--pairs", type=int, default=1, help="how many times each runs (default 1)")
    parser.add_argument("--minutes", type=float, default=8.0, help="gpu: no cell is begun after them (default 8)")
    parser.add_argument("--folder", type=Path, default=Path("outputs/machine"), help="gpu: what it is kept in")
    arguments = parser.parse_intermixed_args()
    from harness.config import variants

    overrides = [word for word in arguments.words if "=" in word]
    names = [word for word in arguments.words if "=" not in word]
    known = {words[0].partition("=")[2] for words in variants()}
    if unknown := sorted(set(names) - known):
        raise UserError(
            f"no recipe with an encoder is named {', '.join(unknown)}; there are {', '.join(sorted(known))}.", 2
        )
    if arguments.against == "gpu":
        return card([words for words in variants() if not names or words[0].partition("=")[2] in names], arguments)
    if arguments.against == "sweep":
        for name in names or ["hf_trainer"]:
            sweep([f"recipe={name}", *overrides], arguments.pairs)
        return 0
    for words in variants():
        recipe = words[0].partition("=")[2]
        script, environment = beside(arguments.against, recipe)
        if (not names or recipe in names) and script.exists():
            compare(" ".join(words), [*words, *overrides], script, environment, arguments.pairs)
    return 0


def card(recipes: list[list[str]], arguments: argparse.Namespace) -> int:
    """Measure what is missing of the recipes here, and print the tables."""
    from harness.results import cells
    from harness.sweeps import bench

    words = [word for word in arguments.words if "=" in word]
    words = words if any(word.startswith("placement=") for word in words) else ["placement=gpu", *words]
    made = bench.Bench(arguments.folder, words, time.monotonic() + 60 * arguments.minutes)
    with tempfile.TemporaryDirectory() as place:
        bench.run(made, recipes, Path(place))
    if made.cells:
        print("\n".join(cells.tables(arguments.folder)))
    left = sum(len(made.missing(recipe)) for recipe in [*recipes, *([f"{cells.BARE} {way}"] for way in cells.WAYS)])
    if left:
        print(f"{left} cells are missing yet: the same command goes on with them.")
    return 1 if left else 0


def beside(against: str, recipe: str) -> tuple[Path, str | None]:
    """Return the plain script for a recipe, and its environment (None: the recipe's own)."""
    if against == "loop":
        return BENCHMARKS / "plain_torch.py", "hf_trainer"
    return BENCHMARKS / ("tutorials" if against == "tutorials" else "harness") / f"{recipe}.py", None


def compare(name: str, words: list[str], script: Path, environment: str | None, pairs: int) -> None:
    """Run both `pairs` times and print what was measured."""
    with tempfile.TemporaryDirectory() as outputs:
        small = ["data.train_size=64", "data.valid_size=64", "data.test_size=64", "train.epochs=1"]
        ours([*words, *small], f"{outputs}/first")  # makes what is missing, and warms the file cache
        ratios, outside = [], []
        for number in range(pairs):
            if number % 2:  # who goes first changes, for a machine that slows down or speeds up
                other = plain(script, environment, outputs)
                own = ours(words, outputs)
            else:
                own = ours(words, outputs)
                other = plain(script, environment, outputs)
            ratios.append(own.speed / other.speed)
            outside.append(own.outside)
            print(f"{name}\n  recipe  {own}\n  plain   {other}\n  ratio {ratios[-1]:.3f}", flush=True)
    spread = f"median {statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})"
    print(f"{name}: recipe / plain {spread}, outside the worker {statistics.median(outside):.2f} s", flush=True)


def sweep(words: list[str], pairs: int, runs: int = 8) -> None:
    """Print what a sweep takes beyond its workers, and how much longer two one-thread runs at once take than one."""
    seeds = ",".join(map(str, range(runs)))
    with tempfile.TemporaryDirectory() as outputs:
        train(["-m", *words, f"seed={runs}", f"outputs={outputs}/first"])  # makes what is missing
        total, again = (train(["-m", *words, f"seed={seeds}", f"outputs={outputs}/sweep"]) for _ in range(2))
        rows = [
            json.loads(path.read_text(encoding="utf-8")) for path in Path(outputs).glob("sweep/*/[!.]*/result.json")
        ]
        workers = sum(row["worker.seconds"] for row in rows)
        beyond = (total - workers) / runs
        print(f"a sweep of {runs} runs: {total:.1f} s, its workers {workers:.1f} s, beyond them {beyond:.2f} s a run")
        print(f"the same again: {again:.2f} s, {again / runs:.2f} s a finished run", flush=True)
        ratios = []
        for number in range(pairs):
            one = train([*words, "threads=1", f"seed={number}", f"outputs={outputs}/one"])
            at_once = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2", f"seed={number},{number + pairs}"]
            two = train(["-m", *words, "threads=1", *at_once, f"outputs={outputs}/two"])
            ratios.append(two / one)
            print(f"one run {one:.1f} s, two at once {two:.1f} s: {ratios[-1]:.3f}", flush=True)
    print(f"two one-thread runs at once / one: median {statistics.median(ratios):.3f} "
          f"({min(ratios):.3f} to {max(ratios):.3f})")  # fmt: skip


def train(words: list[str]) -> float:
    """Run train.py; return how many seconds it took."""
    start = time.monotonic()
    python = os.environ["FINETUNE_RECIPES_PYTHON"]
    command = [python, str(ROOT / "train.py"), "measure.batch_sizes=[]", *words]
    done = output.answer(command)
    if done.returncode:
        raise UserError(f"train.py failed:\n{done.stderr[-2000:]}{done.stdout[-2000:]}")
    return time.monotonic() - start


def ours(words: list[str], outputs: str) -> Measured:
    """Run train.py."""
    from harness.figures.metrics import of_row

    seconds = train([f"outputs={outputs}", "rerun=true", *words])
    row = json.loads(result_of(outputs).read_text(encoding="utf-8"))
    task, speed, memory = of_row(row), row["train.samples_per_second"], row["memory.peak_rss_mb"]
    return Measured(speed, task.primary_name, row[f"test.{task.primary}"], memory, seconds - row["worker.seconds"])


def plain(script: Path, environment: str | None, outputs: str) -> Measured:
    """Run the plain script with the job of our run, on as many threads, and its memory sampled as ours is."""
    import numpy as np

    from harness.figures.metrics import of_row
    from harness.machine.gpu import ORDER
    from harness.machine.monitor import Monitor
    from harness.runs.launch import of_threads

    result = result_of(outputs)
    row = json.loads(result.read_text(encoding="utf-8"))
    python = environments.ensure(environment or row["environment"]).python
    logits, log = Path(outputs) / "logits.npz", Path(outputs) / "plain.txt"
    variables = {**os.environ, **ORDER, **of_threads(row["threads"]), "HF_HUB_OFFLINE": "1", **output.UTF_8}
    command = [str(python), str(script), str(result.with_name("job.json")), str(logits)]
    monitor = Monitor()
    with open(log, "w", encoding="utf-8") as handle:
        process = subprocess.Popen(command, stdout=handle, stderr=handle, env=variables)
        while process.poll() is None:
            monitor.sample(process.pid, None)
            time.sleep(0.2)
    said = log.read_text(encoding="utf-8")
    if process.returncode:
        raise UserError(f"{script.relative_to(ROOT)} failed:\n{said[-2000:]}")
    saved, task = dict(np.load(result.with_name("predictions_test.npz"))), of_row(row)
    names = json.loads(result.with_name("job.json").read_text(encoding="utf-8"))["labels"]
    quality = task.scores(saved["labels"], np.load(logits)["logits"], names)[task.primary]
    speed = row["train.epochs"] * row["train.rows"] / float(said.splitlines()[-1])
    return Measured(speed, task.primary_name, quality, monitor.figures()["memory.peak_rss_mb"] or 0.0)


def result_of(outputs: str) -> Path:
    (path,) = Path(outputs).glob("*/[!.]*/result.json")
    return path


if __name__ == "__main__":
    bootstrap.enter()
    sys.exit(guarded(main))
