"""Measure what the harness costs: a plain script with the same settings runs beside ours, in turn.

Two figures. The training phase of `recipe=hf_trainer` (with events, phases and memory sampled) against the same
training in a plain script, as the ratio of each pair. And what a cached run takes outside the worker, in seconds.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from harness import bootstrap, environments
from harness.errors import UserError, guarded

PLAIN = ROOT / "benchmarks" / "plain_hf_trainer.py"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=3, help="how many times each runs (default 3)")
    parser.add_argument("words", nargs="*", metavar="KEY=VALUE", help="overrides of the run, such as train.epochs=1")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as outputs:
        ours(arguments.words, outputs)  # makes what is missing, and warms the file cache
        rows = [pair(arguments.words, outputs, number) for number in range(arguments.pairs)]
    ratios, outside = [row[0] / row[1] for row in rows], [row[2] for row in rows]
    print(f"training, ours / plain: median {statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})")
    print(f"outside the worker: median {statistics.median(outside):.2f} s ({min(outside):.2f} to {max(outside):.2f})")
    return 0


def pair(words: list[str], outputs: str, number: int) -> tuple[float, float, float]:
    """Return the seconds of our training, of the plain training, and of our run outside the worker."""
    if number % 2:  # who goes first changes, for a machine that slows down or speeds up
        without, (training, outside) = plain(outputs), ours(words, outputs)
    else:
        training, outside = ours(words, outputs)
        without = plain(outputs)
    print(f"ours {training:.2f} s  plain {without:.2f} s  ratio {training / without:.3f}  outside {outside:.2f} s")
    return training, without, outside


def ours(words: list[str], outputs: str) -> tuple[float, float]:
    """Run train.py; return the seconds of its training, and those outside the worker."""
    start = time.monotonic()
    command = [
        os.environ["FINETUNE_RECIPES_PYTHON"],
        str(ROOT / "train.py"),
        f"outputs={outputs}",
        "rerun=true",
        *words,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    seconds = time.monotonic() - start
    if done.returncode:
        raise UserError(f"train.py failed:\n{done.stderr[-2000:]}{done.stdout[-2000:]}")
    row = json.loads(result_of(outputs).read_text(encoding="utf-8"))
    return row["train.seconds"], seconds - row["worker.seconds"]


def plain(outputs: str) -> float:
    """Train with the plain script, from the job of our run; return its seconds of training."""
    python = environments.ensure("hf_trainer").python
    job = result_of(outputs).with_name("job.json")
    threads = json.loads(result_of(outputs).read_text(encoding="utf-8"))["threads"]
    command = ["env", f"OMP_NUM_THREADS={threads}", str(python), str(PLAIN), str(job)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(f"the plain script failed:\n{done.stderr[-2000:]}")
    return float(done.stdout.splitlines()[-1])


def result_of(outputs: str) -> Path:
    (path,) = Path(outputs).glob("*/[!.]*/result.json")
    return path


if __name__ == "__main__":
    bootstrap.enter()
    sys.exit(guarded(main))
