"""What the processes of a run tell one another, on all its machines, by PyTorch: accelerate has started them."""

import os
from typing import Any

from recipes.contract.checkpoints import telling
from recipes.contract.job import Job

OWN = {"machine_rank", "main_process_ip", "main_process_port"}  # of a placement: what a machine has for itself


class Together:
    """Called with a value by each process, it returns what each of them has given, by rank.

    It waits for all, as long as PyTorch does: by default 30 minutes on processors, 10 on GPUs. The first call sees
    that they do the same run: where machines were given different commands or data, some would wait for steps that
    others never do. ValueError says what differs.
    """

    def __init__(self, job: Job):
        self.job, self.seen = job, False

    def __call__(self, value: Any) -> list[Any]:
        if not self.seen:
            self.seen = True
            compare(self.gathered(described(self.job)))
        return self.gathered(value)

    def gathered(self, value: Any) -> list[Any]:
        from torch import distributed  # here: what compares needs none

        said = [None] * distributed.get_world_size()
        with telling(self.job.event, "the other processes of this run"):
            distributed.all_gather_object(said, value)
        return said


def described(job: Job) -> dict[str, Any]:
    """Return what must be the same on all machines, by its name; data by the folders that their content names."""
    values = {"placement": {name: value for name, value in vars(job.placement).items() if name not in OWN}}
    values |= {"train": vars(job.train), "checkpoint": vars(job.checkpoint), "settings": dict(job.settings)}
    values |= {"dropout": vars(job.dropout) if job.dropout else {}}
    values |= {"data": {name: folder.parent.name for name, folder in vars(job.splits["train"]).items() if folder}}
    flat = {f"{group}.{name}": value for group, items in values.items() for name, value in items.items()}
    names = ("recipe", "seed", "precision", "protocol", "labels", "pooling")
    found = {"machine": int(os.environ["GROUP_RANK"]), "task": job.task.name, **flat}
    return found | {name: getattr(job, name) for name in names}


def compare(processes: list[dict[str, Any]]) -> None:
    """Raise ValueError where two of them do not do the same run."""
    first = processes[0]
    for other in processes:
        for name in sorted((first.keys() | other.keys()) - {"machine"}):
            if first.get(name) != other.get(name):
                both = f"{first.get(name)} on machine 0, {other.get(name)} on machine {other['machine']}"
                raise ValueError(f"the machines do not do the same run: {name} is {both}")
