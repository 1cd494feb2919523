"""Start the worker in several processes: `python -m recipes.worker.ranks JOB.json ACTION --config_file FILE …`.

It is `accelerate launch`, with those arguments. What it adds: which process ended first, and how, is an event.
"""

import re
import sys
import tempfile
import threading
from pathlib import Path

from recipes.contract.job import Job, Placement
from recipes.worker.main import die_with_parent, told


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
    from torch.distributed import DistNetworkError, DistStoreError
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    try:
        launch_command(launch_command_parser().parse_args(words))
    except ChildFailedError as failure:
        for rank, ended in failure.failures.items():
            job.event("ended", rank=rank, exit_code=ended.exitcode)
        sys.exit(1)
    except (ConnectionError, DistNetworkError, DistStoreError) as error:
        if job.placement.machines == 1:
            raise
        if re.search("in use|EADDRINUSE|is utilizing it", str(error)):
            port = job.placement.main_process_port
            raise OSError(f"address already in use: placement.main_process_port={port}; give all another") from error
        raise TimeoutError(unmet(job.placement)) from error


def unmet(placement: Placement) -> str:
    """Say what did not come about where several machines were to meet."""
    where = f"{placement.main_process_ip}:{placement.main_process_port}"
    if placement.machine_rank:
        return (
            f"machine 0 did not answer at {where} in time: give it the same command with placement.machine_rank=0, "
            "and see that placement.main_process_ip and placement.main_process_port are its own and can be reached"
        )
    return (
        f"not all {placement.machines} machines came to {where} in time: give each the same command with its "
        "own placement.machine_rank (rerun=true where it has finished), and see that they can reach that address"
    )


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
