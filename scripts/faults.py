"""Kill a sweep at random, start it again until it ends, and see whether anything was lost.

A sweep over recipes is done twice: undisturbed, and killed (SIGKILL) so many times: the worker, the engine's process,
the parent; at any time, or while a checkpoint is written, a result, or an environment built. Then each run must be
there exactly once, whole, with the predictions of the undisturbed one. Where it ends before all kills are done,
it is done again from the start. Prints a table of the faults; the exit code is 1 where anything was lost.
"""

import argparse
import contextlib
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from harness.base import bootstrap, environments, home
from harness.base.errors import UserError, guarded

SMALL = [
    "data.train_size=300", "data.valid_size=100", "data.test_size=100", "train.batch_size=16", "train.epochs=2",
    "threads=1", "checkpoint.every=4", "retries=1", "measure.batch_sizes=[]",
]  # fmt: skip
BUILT = "tfidf"  # the recipe whose environment is built anew in each round: it takes seconds
MOMENTS = {"any time": 20.0, "checkpoint": 0.3, "result": 0.6, "environment": 5.0}  # seconds waited at most, once there
PATIENCE = 40.0  # seconds until a moment that does not come is given up for another


@dataclass
class Fault:
    """One kill: of whom, when it was meant to be, the phase of the run then, and which run that was."""

    target: str
    moment: str
    phase: str
    run: str
    lost: bool = False


@dataclass
class Sweep:
    """The sweep, its results, and the home whose environment is built in it."""

    words: list[str]
    place: Path
    draw: random.Random
    faults: list[Fault] = field(default_factory=list)

    @property
    def outputs(self) -> Path:
        return self.place / "outputs"

    def start(self) -> subprocess.Popen[bytes]:
        python = os.environ["FINETUNE_RECIPES_PYTHON"]
        command = [python, str(ROOT / "train.py"), "-m", f"outputs={self.outputs}", *self.words]
        variables = {**os.environ, "FINETUNE_RECIPES_HOME": str(self.place / "home")}
        with open(self.place / "log.txt", "ab") as log:
            return subprocess.Popen(command, env=variables, stdout=log, stderr=log, start_new_session=True)

    def round(self, kills: int) -> None:
        """Do the sweep from its start to its end, with as many kills as it has time for."""
        shutil.rmtree(self.place, ignore_errors=True)
        linked_home(self.place / "home")
        while True:
            process, before = self.start(), len(self.faults)
            while process.poll() is None and len(self.faults) < kills:
                self.disturb(process)
            if process.wait() == 0:
                return
            if before == len(self.faults):  # a run that was killed more often than it is tried again is a failed one
                raise UserError(f"the sweep failed undisturbed; what it said is in {self.place / 'log.txt'}")

    def disturb(self, process: subprocess.Popen[bytes]) -> None:
        """Wait for a moment drawn at random, and kill somebody drawn at random."""
        moment = self.draw.choice(list(MOMENTS))
        delay, end = self.draw.uniform(0, MOMENTS[moment]), time.monotonic() + PATIENCE
        while not self.has_come(moment):
            if process.poll() is not None or time.monotonic() > end:
                return
            time.sleep(0.002)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(delay)
            return
        self.kill(process, moment)

    def has_come(self, moment: str) -> bool:
        if moment == "checkpoint":
            begun = self.outputs.glob("*/.*.working/checkpoints/*")
            return any(not (path / "checkpoint.json").exists() for path in begun)
        if moment == "result":
            return any('"reloaded"' in events or '"inference"' in events for events in self.events().values())
        if moment == "environment":
            return any((self.place / "home" / "environments").glob(".*.building-*"))
        return True

    def kill(self, process: subprocess.Popen[bytes], moment: str) -> None:
        """Kill the parent, the engine's process or a worker, whichever is drawn, and note when it was."""
        family = {"parent": [psutil.Process(process.pid)], "engine": [], "worker": []}
        with contextlib.suppress(psutil.Error):
            for child in family["parent"][0].children(recursive=True):
                words = child.cmdline()
                family["worker"] += [child] if "recipes.worker" in words else []
                family["engine"] += [child] if "loky" in " ".join(words) else []
        target = self.draw.choice([name for name, found in family.items() if found])
        phases = {name: phase(events) for name, events in self.events().items()}
        name = self.draw.choice(sorted(phases) or [""])
        with contextlib.suppress(psutil.Error):
            self.draw.choice(family[target]).kill()
            self.faults.append(Fault(target, moment, phases.get(name, "outside the worker"), name))
        if target == "parent":
            process.wait()
            self.none_left()

    def none_left(self) -> None:
        """See that no process of the sweep outlives its parent, for the seconds that one may take."""
        end = time.monotonic() + 15
        while left := [one for one in psutil.process_iter(["cmdline"]) if self.is_ours(one.info["cmdline"] or [])]:
            if time.monotonic() > end:
                raise UserError(f"a process outlived the parent: {' '.join(left[0].info['cmdline'])[:200]}")
            time.sleep(0.05)

    def is_ours(self, words: list[str]) -> bool:
        return any(str(self.outputs) in word for word in words)

    def events(self) -> dict[str, str]:
        """Return what the runs at work have reported, by their names."""
        found = {}
        for path in self.outputs.glob("*/.*.working/events.jsonl"):
            with contextlib.suppress(OSError):  # it has just been moved into place
                found[store.name_of(path.parent)] = path.read_text(encoding="utf-8", errors="replace")
        return found

    def results(self) -> dict[str, Path]:
        """Return the folders of the finished runs, by their names."""
        finished = [path.parent for path in self.outputs.glob("*/[!.]*/result.json") if store.finished(path.parent)]
        return {folder.name: folder for folder in finished}


def phase(events: str) -> str:
    """Return the phase that a worker was in."""
    marks = re.findall(r'"event": "phase_(start|end)".*?"name": "(\w+)"', events)
    return "between phases" if not marks or marks[-1][0] == "end" else marks[-1][1]


def linked_home(place: Path) -> None:
    """Make a home that has all of ours but one environment, which will be built there, and a key of its own."""
    (place / "environments").mkdir(parents=True)
    for folder in home.home().iterdir():
        if folder.name not in ("environments", "data", "tokens", "logs") and folder.is_dir():
            (place / folder.name).symlink_to(folder)
    for name in environments.names():
        ours = environments.folder_of(name)
        if name != BUILT and ours.exists():
            (place / "environments" / ours.name).symlink_to(ours)


def lost(undisturbed: dict[str, Path], sweep: Sweep) -> dict[str, str]:
    """Return what is wrong with the runs of a sweep that has ended, by their names."""
    found, wrong = sweep.results(), {}
    for name, folder in undisturbed.items():
        if name not in found:
            wrong[name] = "is not there"
        elif not (found[name] / "model").is_dir():
            wrong[name] = "has no model"
        else:
            for file in ("predictions_valid.npz", "predictions_test.npz"):
                own, other = (np.load(where / file)["logits"] for where in (found[name], folder))
                if not np.array_equal(own, other):
                    wrong[name] = f"{file}: {np.abs(own - other).max():.1e} from those of the undisturbed run"
    wrong |= dict.fromkeys(found.keys() - undisturbed.keys(), "is not one of the sweep's")
    left = [path for path in sweep.outputs.glob("*/.*") if path.suffix in (".working", ".replaced")]
    return wrong | {store.name_of(path): f"{path.name} was left behind" for path in left}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", metavar="KEY=VALUE", help="of the sweep (default: all recipes, small runs)")
    parser.add_argument("--kills", type=int, default=100, help="how many (default 100)")
    parser.add_argument("--seed", type=int, default=0, help="of what is drawn (default 0)")
    parser.add_argument("--place", type=Path, help="a folder for all that is written (default: a temporary one)")
    arguments = parser.parse_intermixed_args()
    if not any(word.startswith("recipe=") for word in arguments.words):
        arguments.words.insert(0, "recipe=" + ",".join(config.choices("recipe")))
    words = [*SMALL, *arguments.words]
    with tempfile.TemporaryDirectory() as temporary:
        place, draw = arguments.place or Path(temporary), random.Random(arguments.seed)
        still = Sweep(words, place / "undisturbed", draw)
        still.round(kills=0)
        disturbed, wrong = Sweep(words, place / "killed", draw), {}
        while len(disturbed.faults) < arguments.kills:
            before = len(disturbed.faults)
            disturbed.round(arguments.kills)
            for name, what in lost(still.results(), disturbed).items():
                print(f"{name}: {what}", flush=True)
                wrong[name] = what
            for fault in disturbed.faults[before:]:
                fault.lost = fault.run in wrong
            print(f"{len(disturbed.faults)} of {arguments.kills} kills", file=sys.stderr, flush=True)
    show(disturbed.faults)
    return 1 if wrong else 0


def show(faults: list[Fault]) -> None:
    """Print how many faults there were of each kind, and what became of their runs."""
    rows = Counter((fault.target, fault.moment, fault.phase, fault.lost) for fault in faults)
    kinds = sorted({key[:3] for key in rows})
    print("| killed | while | phase of a run then | faults | survived | lost |\n| --- | --- | --- | --- | --- | --- |")
    for kind in [*kinds, ("all", "", "")]:
        of_kind = {key: count for key, count in rows.items() if kind[0] == "all" or key[:3] == kind}
        gone = sum(count for key, count in of_kind.items() if key[3])
        total = sum(of_kind.values())
        print(f"| {' | '.join(kind)} | {total} | {total - gone} | {gone} |")


if __name__ == "__main__":
    bootstrap.enter()
    import numpy as np
    import psutil

    from harness import config
    from harness.runs import store

    sys.exit(guarded(main))
