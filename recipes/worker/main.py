"""Run one recipe in its library's environment: `python -m recipes.worker JOB.json finetune|reload|hidden|predict`.

`finetune` trains, predicts the valid and test rows and saves; `reload`, in a process of its own, predicts test rows (in
a search, which has none, valid's) from the saved model alone: one, as soon as it can; batches, to time them; and all,
to say how far the logits are from those before saving. The phases are timed here, at the same marks for every library,
what fp32 products are made of is settled here, and at the end of both memory is told.
`hidden` writes the encoder's hidden states before training, for scripts/parity.py. `predict`
goes on with the saved model until its parent ends it: it takes the chunks of texts that are laid down for it.
"""

import importlib
import itertools
import os
import re
import resource
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np

from recipes.contract import frameworks
from recipes.contract.files import readable, whole
from recipes.contract.job import Job, log_name
from recipes.contract.split import Split, kept, predict_split
from recipes.worker import inference, peak

HIDDEN_ROWS = 32


def main(path: str, action: str) -> int:
    """Run the action; return the exit code."""
    threading.Thread(target=die_with_parent, daemon=True).start()
    job = Job.read(Path(path))
    if job.rank:
        log = os.open(job.folder / log_name(job.rank), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
    return told(
        job, lambda: {"finetune": finetune, "reload": reload, "hidden": hidden, "predict": predict}[action](job)
    )


def told(job: Job, action: Callable[[], None]) -> int:
    """Run `action`; report a failure as an event (and its traceback in the log), and return the exit code."""
    try:
        action()
    except Exception as error:
        traceback.print_exc()
        memory = frameworks.is_out_of_memory(error)
        job.event("error", rank=job.rank, type=type(error).__name__, message=str(error), out_of_memory=memory)
        return 1
    return 0


def recipe_of(job: Job) -> ModuleType:
    """Import the job's recipe, for its protocol; on GPUs fp32 products are in TF32 if the job says so, else not."""
    frameworks.nvidia_tf32(job.precision == "tf32")
    recipe = importlib.import_module(f"recipes.{job.recipe}.{'controlled' if job.controlled else 'recipe'}")
    if not job.placement.use_cpu:
        frameworks.allow_tf32(job.precision == "tf32")
    frameworks.watch()
    return recipe


def finetune(job: Job) -> None:
    """Train, predict the splits that are evaluated, save the predictions."""
    with job.phase("import"):
        recipe = recipe_of(job)
    predict = recipe.finetune(job)
    readable(job.model)
    for name in job.evaluated:
        split = job.split(name)
        with job.phase(f"evaluate_{name}"):
            logits = predict_split(predict, split, job.predicted)
        np.savez(job.folder / f"predictions_{name}.npz", allow_pickle=False, **kept(split, logits))
    tell_resources(job, "finetune")


def reload(job: Job) -> None:
    """Load the saved model, time its predictions of the last split, and report the largest difference of a logit."""
    name = job.evaluated[-1]
    split = job.split(name)
    with job.phase("reload_import"):
        recipe = recipe_of(job)
    with job.phase("cold_load"):
        predict = recipe.load(job)
    with job.phase("first_prediction"):
        predict(split.batch([0]))
    job.event("first_prediction")
    if job.measure.batch_sizes:
        with job.phase("measure"):
            inference.measure(job, predict, split)
    with job.phase("inference"):
        logits = predict_split(predict, split, job.predicted)
    if job.measure.batch_sizes and job.weights:
        with job.phase("peak"):
            job.event("peak", gflops=peak.gflops(job))
    before = np.load(job.folder / f"predictions_{name}.npz")["logits"]
    job.event("reloaded", max_difference=job.task.difference(split.labels, logits, before))
    tell_resources(job, "reload")


def tell_resources(job: Job, action: str) -> None:
    """Report what this process has used, in bytes, and how the framework computed fp32 products."""
    framework, gpu = frameworks.main(), not job.placement.use_cpu
    job.event(
        "resources",
        action=action,
        peak_rss=peak_rss(),
        gpu_allocated_peak=framework.allocated_peak(),
        matmul_precision=frameworks.matmul_precision(gpu),
    )


def peak_rss() -> int:
    """Return the most memory that this process has had resident, in bytes, as the kernel keeps it.

    Linux hands `ru_maxrss` on to a program that a process becomes: ours would be that of who started us, at least.
    """
    status = Path("/proc/self/status")
    if status.exists() and (found := re.search(r"VmHWM:\s+(\d+) kB", status.read_text(encoding="utf-8"))):
        return int(found[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def hidden(job: Job) -> None:
    """Save the last hidden states of some test rows at their unpadded positions: float32 (tokens, hidden)."""
    states = recipe_of(job).hidden_states(job)
    split = job.split("test")
    rows = np.argsort(split.lengths, kind="stable")[:: max(1, len(split) // HIDDEN_ROWS)]  # short and long in one batch
    batch, lengths = split.batch(rows), split.lengths[rows]
    found = {}
    for mode in ("eval", "train"):
        padded = np.asarray(states(batch, mode == "train"), np.float32)
        found[mode] = np.concatenate([row[:length] for row, length in zip(padded, lengths, strict=True)])
    np.savez(job.folder / "hidden.npz", eval=found["eval"], train=found["train"])


def predict(job: Job) -> None:
    """Load the saved model; for each chunk in `chunks/`, a folder as a split's, write its logits beside it."""
    function = recipe_of(job).load(job)
    for number in itertools.count():
        folder = job.folder / "chunks" / str(number)
        while not folder.exists():
            time.sleep(0.005)
        tokens = folder if (folder / "token_ids.values.bin").exists() else None
        logits = predict_split(function, Split("chunk", folder, tokens, job.task, job.outputs))
        with whole(folder.with_suffix(".npy"), "wb") as handle:
            np.save(handle, logits)


def die_with_parent() -> None:
    """Wait for the end of standard input, which the parent holds open; then end this process group at once."""
    while os.read(0, 1):
        pass
    os.killpg(os.getpgid(0), signal.SIGKILL)
