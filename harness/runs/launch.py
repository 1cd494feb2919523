"""Start the worker, watch it, and see to it that nothing of it is left, however it ends."""

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import psutil

from harness.base import progress
from harness.base.home import ROOT, key
from harness.base.interpreter import NOT_ITS_OWN
from harness.base.output import UTF_8
from harness.config.resolve import Resolved
from harness.config.settings import Limits
from harness.machine.gpu import ORDER
from harness.machine.monitor import Monitor
from harness.machine.placement import Placement
from harness.machine.quiet import Watch
from harness.runs.display import Display
from harness.runs.events import Event, new
from harness.runs.loggers import Loggers
from harness.runs.outcome import Outcome
from recipes.contract import seals
from recipes.contract.job import log_name

INTERVAL = 0.2  # seconds between two looks at the worker
GRACE = 5.0  # seconds between asking it to end and ending it
OF_A_LAUNCHER = {"RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"}  # not of ours
LOST = ("reset by peer", "closed by peer", "broken pipe", "network error", "timed out waiting")  # of gloo and NCCL


def work(
    folder: Path,
    python: Path,
    resolved: Resolved,
    limits: Limits,
    outcome: Outcome,
    monitor: Monitor,
    loggers: Loggers,
) -> None:
    """Run the job in `folder` with `python`: fine-tune where it is placed, then reload the model in a new process."""
    placed, threads = resolved.placed, resolved.threads
    start, watch = time.monotonic(), Watch(placed.devices, placed.local_processes)
    outcome.machines = placed.machines
    with Display() as display, open(folder / "events.jsonl", "a+", encoding="utf-8") as events:
        for action in ("finetune", "reload") if placed.first else ("finetune",):
            outcome.started = time.time()
            if placed.machines > 1 and action == "finetune":
                progress.say(placed.meeting())
            with worker(folder, python, action, threads, placed) as process:
                while process.poll() is None:
                    follow(events, outcome, display, loggers)
                    resident = loggers.resident = monitor.sample(process.pid, outcome.phase)
                    watch.look(monitor.pids)
                    if over := outcome.verdict or exceeded(limits, time.monotonic() - start, resident):
                        outcome.end(*over)
                        return
                    with suppress(subprocess.TimeoutExpired):
                        process.wait(INTERVAL)
            follow(events, outcome, display, loggers)
            outcome.worker_seconds = round(time.monotonic() - start, 3)
            if process.returncode:
                outcome.end(*diagnose(process.returncode, outcome, folder))
                return
    outcome.quiet = watch.figures()


@contextmanager
def worker(
    folder: Path,
    python: Path,
    action: str,
    threads: int,
    placed: Placement | None = None,
    module: str = "recipes.worker",
) -> Iterator[subprocess.Popen[bytes]]:
    """Start the worker as the head of a process group of its own; end it and all it started when the block ends.

    The worker holds the other end of a pipe from us, and ends itself when that closes: no worker outlives us. Of
    several processes each does.
    """
    command = [str(python), "-m", module, str(folder / "job.json"), action]
    environment = {name: value for name, value in os.environ.items() if name not in OF_A_LAUNCHER}
    if placed and placed.launched and action == "finetune":
        command[2] = "recipes.worker.ranks"
        command += placed.arguments(folder)
        threads = max(1, threads // placed.local_processes)
    if action == "finetune":  # it alone reads checkpoints, and is given no model of others
        environment[seals.KEY] = str(key())
    environment |= {
        **(placed.variables() if placed else {}),
        **ORDER,
        **of_threads(threads),
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_OFFLINE": "1",  # all a recipe needs is in its job
        "PYTHONUNBUFFERED": "1",
        **UTF_8,
    }
    for name in NOT_ITS_OWN:
        environment.pop(name, None)
    with open(folder / "log.txt", "ab") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True
        )
    try:
        yield process
    finally:
        stop(process)


def of_threads(threads: int) -> dict[str, str]:
    """Return the variables that give a process so many threads.

    A thread of GNU OpenMP that waits for others spins 300,000 times by default. Where two trainings share the cores, or
    others use them too, it burns the time that the one it waits for needs: with 10,000 they took a third of it.
    """
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "PJRT_NPROC")  # the last is JAX's
    return {**dict.fromkeys(names, str(threads)), "GOMP_SPINCOUNT": os.environ.get("GOMP_SPINCOUNT", "10000")}


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ask the worker's group to end, and end it when it does not in time or when we are interrupted again.

    The processes of a launcher have groups of their own.
    """
    below = children(process.pid)
    try:
        if process.poll() is None:
            _signal(process, signal.SIGTERM)
            process.wait(GRACE)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        pass
    _signal(process, signal.SIGKILL)
    for child in below:
        with suppress(psutil.NoSuchProcess):
            child.kill()
    if process.stdin:
        process.stdin.close()  # where a launcher died before it could be asked
    process.wait()


def children(pid: int) -> list[psutil.Process]:
    """Return all processes below one."""
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def follow(events: IO[str], *takers: Outcome | Display | Loggers) -> None:
    """Take in the events that are whole and new."""
    for event in new(events):
        for taker in takers:
            taker.take(event)


def exceeded(limits: Limits, seconds: float, resident: int) -> tuple[str, str] | None:
    """Return status and reason when the run is over one of its limits."""
    minutes, memory = limits.minutes, limits.memory_gb
    if minutes and seconds > 60 * minutes:
        return "timed_out", f"longer than limits.minutes={minutes:g}"
    if memory and resident > memory * 1e9:
        return "out_of_memory", f"{resident / 1e9:.2f} GB resident is more than limits.memory_gb={memory:g}"
    return None


def diagnose(code: int, outcome: Outcome, folder: Path) -> tuple[str, str]:
    """Return status and reason for a worker that ended with exit code `code` (negative: by that signal)."""
    who, rank = "the worker", 0
    if outcome.ended:
        rank = culprit(outcome)
        who, code = f"rank {rank}", outcome.ended[rank]
        outcome.log_name = log_name(rank)
    if code > 0 and rank not in outcome.errors and (told := last_words(folder / log_name(rank))):
        outcome.errors[rank] = told
    error = outcome.errors.get(rank) if outcome.ended else outcome.error
    message = error["message"] if error else ""
    outcome.transient = code < 0 or "address already in use" in message.lower()
    if "no space left" in message.lower() or shutil.disk_usage(folder).free < 1 << 20:
        return "failed", f"no space left on the device ({folder})"
    if error:
        kind = error["type"]
        plain = re.sub(r"\x1b\[[\d;]*m", "", message).strip()  # some libraries print theirs in bold
        if outcome.machines > 1 and (how := next((word for word in LOST if word in message.lower()), None)):
            outcome.transient = True  # they meet again where the other tries once more, or is given its command again
            return "failed", f"{who} lost another machine ({how}): what is told there says why"
        text = f"{kind}: {plain.splitlines()[0] if plain else ''}".rstrip(": ")
        status = "out_of_memory" if error.get("out_of_memory") else "failed"  # the worker knows its library's words
        return status, f"{who}: {text}" if outcome.ended else text
    where = f"in the phase {outcome.phase}" if outcome.phase else "between two phases"
    if code < 0:
        name = signal.Signals(-code).name
        hint = ", as the system does when memory runs out" if -code == signal.SIGKILL else ""
        return "failed", f"{who} was killed {where} (by {name}{hint})"
    return "failed", f"{who} ended {where} with exit code {code}"


def last_words(log: Path) -> Event | None:
    """Return the error of a Python that ended before it could report: without numpy it cannot even begin."""
    if not log.exists():  # of several, one that ended before it opened its own
        return None
    lines = log.read_text(encoding="utf-8", errors="replace").rstrip().splitlines()
    if lines and (match := re.fullmatch(r"(?:\w+\.)*(\w+Error|\w+Exception)(?:: (.*))?", lines[-1])):
        return {"event": "error", "time": log.stat().st_mtime, "type": match[1], "message": match[2] or ""}
    return None


def culprit(outcome: Outcome) -> int:
    """Return the rank that brought down the others: one that ended without a word, or else the first with an error.

    The launcher ends the others by SIGTERM.
    """
    silent = [rank for rank, code in outcome.ended.items() if rank not in outcome.errors and code != -signal.SIGTERM]
    told = [rank for rank in outcome.errors if rank in outcome.ended]
    return next(iter([*silent, *told, *outcome.ended]))
