"""Train several jobs of one recipe, each in a process that is forked from one that has imported the library.

`python -m recipes.worker.bench JOB.json serve`, for scripts/benchmark.py gpu, imports the recipe of that job, and takes
paths of jobs, a line each, from standard input. A job is trained, and its predictions are timed with the model that is
still in memory: so a library is started once, which takes 20 s on some machines. What the job's worker would report
is in its events.jsonl, and last of all how its process ended. `alone` does the job itself.
"""

import os
import sys
from pathlib import Path

from recipes.contract.job import Job
from recipes.worker import inference, peak
from recipes.worker.main import recipe_of, tell_resources, told


def main(path: str, action: str) -> int:
    """Serve the jobs that are named on standard input, one after the other, until it ends; or do the one `alone`."""
    first = Job.read(Path(path))
    if action == "alone":
        return told(first, lambda: measured(first))
    recipe_of(first)
    while line := sys.stdin.readline().strip():
        job = Job.read(Path(line))
        child = os.fork()
        if child == 0:
            code = told(job, lambda: measured(job))  # noqa: B023  the child goes no further
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
        _, status = os.waitpid(child, 0)
        job.event("ended", rank=0, exit_code=os.waitstatus_to_exitcode(status))
    return 0


def measured(job: Job) -> None:
    """Train the job, time predictions of its last split, and what the device does at most."""
    with job.phase("import"):
        recipe = recipe_of(job)
    predict = recipe.finetune(job)
    with job.phase("measure"):
        inference.measure(job, predict, job.split(job.evaluated[-1]))
    with job.phase("peak"):
        job.event("peak", gflops=peak.gflops(job))
    tell_resources(job, "finetune")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
