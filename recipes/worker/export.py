"""A trained model in another format, for scripts/export.py: `python -m recipes.worker.export JOB.json write|…|measure`.

A format is a module, named in the job's settings: recipes/onnx.py, or, of a library's own, NAME.py in its room, with

    def export(job: Job, path: Path) -> Predict: ...  # write the saved model; return what wrote it, in fp32
    def load(job: Job, path: Path) -> Predict: ...    # the same, from the file or folder at `path` alone

`write` does the first, and keeps its logits; `measure`, in a process of its own, times the second. Of what else a
format has (`quantise`), the action's name is the function's.
"""

import importlib
import sys
import threading
from pathlib import Path
from types import ModuleType

import numpy as np

from recipes.contract.job import Job
from recipes.contract.split import kept, predict_split
from recipes.worker import inference
from recipes.worker.main import die_with_parent, told

CALLS, SECONDS = 100, 2.0  # at least so many calls, and so long


def main(path: str, action: str) -> int:
    """Run the action; return the exit code."""
    threading.Thread(target=die_with_parent, daemon=True).start()
    job = Job.read(Path(path))
    file = job.folder / job.settings["file"]

    def act() -> None:
        module = importlib.import_module(job.settings["format"])
        own = {"write": write, "measure": measure}
        own[action](job, module, file) if action in own else getattr(module, action)(job, file)

    return told(job, act)


def write(job: Job, module: ModuleType, file: Path) -> None:
    """Write the model, and the logits of the last split by what wrote it."""
    predict = module.export(job, file)
    np.save(job.folder / "logits.npy", predict_split(predict, job.split(job.evaluated[-1])))


def measure(job: Job, module: ModuleType, file: Path) -> None:
    """Save the logits of the last split, and the seconds of each call with 1 and with 32 of its texts."""
    predict, split = module.load(job, file), job.split(job.evaluated[-1])
    logits = predict_split(predict, split)
    one, many = (inference.latencies(predict, split, size, CALLS, SECONDS)[0] for size in (1, 32))
    rows = kept(split, logits)
    np.savez(job.folder / "measured.npz", allow_pickle=False, **rows, seconds_1=one, seconds_32=many)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
