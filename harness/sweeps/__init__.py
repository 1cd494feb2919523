"""A sweep, `python train.py -m …`: the runs it has, which are left to do, and what became of them.

What is needed is prepared once and recorded; what is finished is not started again; a failure is told when it happens
and stops no other run, unless `sweep.fail_fast=true`; at the end a table shows all.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from harness.base import environments, progress
from harness.base.errors import UserError, answered
from harness.sweeps import engine, look, tables
from harness.sweeps.record import Record, Run, at_work, described

STARTS = 2  # how often a run is started whose process the engine loses
POLL = 0.5  # seconds between two looks at the runs of other processes
codes: list[int] = []  # the exit codes of what this process has done

Launch = Callable[[list[list[str]], Path], list[int]]


def sweep(words: Sequence[list[str]], composed: Sequence[DictConfig], master: DictConfig, launch: Launch) -> int:
    """Do the sweep, or print its plan; return the exit code, which is the highest of the runs."""
    launcher, outputs = master.hydra.launcher, Path(master.outputs).expanduser().absolute()
    threads = engine.cores(launcher)
    far = engine.kind(launcher) in ("Ray", "Slurm")
    runs = [described(*run, outputs, threads, far) for run in zip(words, composed, strict=True)]
    record = Record(list(master.hydra.overrides.task), runs, engine.at_once(launcher))
    if master.plan:
        return plan(record, outputs)
    for text in tables.refusals(record):
        progress.say(f"error: {text}")
    folder = record.write(outputs, elsewhere=far)
    stop_file(folder).unlink(missing_ok=True)
    if master.sweep.fail_fast and any(run.reason for run in runs):
        stop_file(folder).touch()
    try:
        codes_of_runs = carry_out(folder, launcher, master.sweep.fail_fast, launch)
    finally:
        seen = look.look(folder)
        logged = ", what the runs said in log.txt" if (folder / "log.txt").exists() else ""
        tables.show(tables.outcome(record, seen), f"{tables.counts(seen)}; the record is in {folder}{logged}")
    return max([*(run.code for run in runs), *codes_of_runs, *(int(one.status != "finished") for one in seen)])


def plan(record: Record, outputs: Path) -> int:
    """Print what would be run, and how long it would take; return the exit code."""
    seen = [look.look_at(run, outputs, since=0, waiting=False) for run in record.runs]
    tables.show(*tables.planned(record, seen, outputs))
    return max(run.code for run in record.runs)


def carry_out(folder: Path, launcher: DictConfig, fail_fast: bool, launch: Launch) -> list[int]:
    """Have the engine do what is left of the sweep in a folder; return exit codes.

    Runs whose process the engine loses are started once more: it may have lost others with the one that died.
    """
    elsewhere, codes = engine.kind(launcher) != "Basic", []
    reports = reporting(folder) if elsewhere else contextlib.nullcontext()
    with at_work(folder), reports, engine.logged(launcher, folder / "log.txt"):
        seen = look.look(folder)
        todo = [one.run for one in seen if one.todo]
        progress.say(f"sweep {folder.name}: {tables.counts(seen)}")
        if elsewhere:
            build(todo)
        for _ in range(STARTS if todo else 0):
            try:
                codes += launch([run.words for run in todo], folder)
                break
            except Exception as error:  # whatever an engine raises for a process that died
                progress.say(f"the engine failed: {type(error).__name__}: {' '.join(str(error).split())[:500]}")
                words = [run.words for run in todo]
                left = [one for one in look.look(folder) if one.run.words in words and not one.ended]
                todo = [one.run for one in left]
                if fail_fast or not any(one.status == "broken off" for one in left):
                    break
    return codes


def build(runs: Sequence[Run]) -> None:
    """Build the environments that runs need: other machines may not reach the registry. A failure is the run's."""
    for name in sorted({run.like["environment"] for run in runs} & set(environments.names())):
        with contextlib.suppress(UserError, OSError):
            environments.ensure(name)


def do_one(fail_fast: bool, action: Callable[[], int]) -> int:
    """Do one run of a sweep, unless no further one is to be started, in the engine's process; return its exit code."""
    hydra = HydraConfig.get()
    folder = Path(hydra.sweep.dir).absolute()
    with engine.joined(hydra.launcher, folder, hydra.runtime.cwd):
        if stop_file(folder).exists():
            return 0
        code = answered(action)
        if code and fail_fast and (folder / "sweep.json").exists():
            stop_file(folder).touch()
        return code


def stop_file(folder: Path) -> Path:
    """Return the file that says that no further run of the sweep is to be started (`sweep.fail_fast=true`)."""
    return folder / "stop"


@contextlib.contextmanager
def reporting(folder: Path) -> Iterator[None]:
    """Tell, while the block runs, of each run that ends in another process."""
    over, said, record = threading.Event(), set(), Record.read(folder)

    def tell() -> None:
        for one in look.look(folder):
            if one.row and not one.earlier and one.run.folder not in said:
                said.add(one.run.folder)
                progress.say(": ".join(filter(None, [" ".join(record.varying(one.run)), one.status, one.reason])))

    def watch() -> None:
        while not over.wait(POLL):
            tell()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        tell()
