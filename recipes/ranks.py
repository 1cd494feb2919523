"""Start the worker in several processes: `python -m recipes.ranks JOB.json ACTION --config_file FILE …`.

It is `accelerate launch`, with those arguments. What it adds: which process ended first, and how, is an event.
"""

import sys
import tempfile
import threading
from pathlib import Path

from recipes.job import Job
from recipes.worker import die_with_parent, told


def main(path: str, action: str, *arguments: str) -> int:
    """Run the worker's action in the processes that accelerate starts; return the exit code."""
    threading.Thread(target=die_with_parent, daemon=True).start()
    job = Job.read(Path(path))
    with tempfile.TemporaryDirectory() as logs:  # or PyTorch's launcher would leave one behind
        words = [*arguments, "--log_dir", logs, "-m", "recipes.worker", path, action]
        return told(job, lambda: launch(job, words))


def launch(job: Job, words: list[str]) -> None:
    """Run `accelerate launch` with `words`."""
    from accelerate.commands.launch import launch_command, launch_command_parser  # here: what is missing is an event
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    try:
        launch_command(launch_command_parser().parse_args(words))
    except ChildFailedError as failure:
        for rank, ended in failure.failures.items():
            job.event("ended", rank=rank, exit_code=ended.exitcode)
        sys.exit(1)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
