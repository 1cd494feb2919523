"""Where a run is placed: one process or several, on processors or on GPUs, on one machine or several.

Every recipe goes by a plain accelerate config file: those that accelerate starts, and one whose library drives several
devices from one process.
"""

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from recipes.contract import job

MEETING = 1800  # seconds that a machine waits for the others: one may have an environment to build yet


@dataclass(frozen=True)
class Placement:
    """A placement as resolved. `accelerate`: the values of its accelerate config file.

    `devices`: the run's own GPUs on this machine, as CUDA_VISIBLE_DEVICES names them; none on the processors.
    """

    name: str
    accelerate: Mapping[str, Any]
    launched: bool  # by `accelerate launch`, in several processes
    devices: tuple[str, ...]

    @property
    def processes(self) -> int:
        """Processes, or devices of the one process, on all machines together."""
        return self.accelerate["num_processes"]

    @property
    def gpu(self) -> bool:
        return not self.accelerate["use_cpu"]

    @property
    def machines(self) -> int:
        return self.accelerate.get("num_machines", 1)

    @property
    def first(self) -> bool:
        """Tell whether the first process, which predicts and saves, is on this machine."""
        return not self.accelerate.get("machine_rank")

    @property
    def local_processes(self) -> int:
        """Processes that are started on this machine."""
        return self.processes // self.machines if self.launched else 1

    def identity(self) -> dict[str, str | int] | None:
        """Return what makes another run of this one: nothing for one process on the processors."""
        if not self.gpu and self.processes == 1:
            return None
        what = {"device": "gpu" if self.gpu else "cpu", "processes": self.processes}
        if self.machines > 1:
            what |= {"machines": self.machines, "machine_rank": self.accelerate["machine_rank"]}
        return what

    def variables(self) -> dict[str, str]:
        """Return the environment variables that show the worker its devices."""
        if not self.gpu:
            return {"CUDA_VISIBLE_DEVICES": "", "ACCELERATE_USE_CPU": "true", "JAX_PLATFORMS": "cpu"}
        return {"CUDA_VISIBLE_DEVICES": ",".join(self.devices), "ACCELERATE_USE_CPU": "false"}

    def arguments(self, folder: Path) -> list[str]:
        """Return the arguments of `accelerate launch`; on one machine with a port that is free now."""
        file = ["--config_file", str(folder / "accelerate.yaml")]
        if self.machines > 1:
            return [*file, "--rdzv_conf", f"timeout={MEETING}"]
        return [*file, "--main_process_port", str(free_port())]

    def meeting(self) -> str:
        """Say where several machines meet, and how long this one waits there."""
        where = f"{self.accelerate['main_process_ip']}:{self.accelerate['main_process_port']}"
        others = f"the other {self.machines - 1}" if self.first else "machine 0"
        return f"waiting for {others} at {where}, at most {MEETING // 60} minutes"

    def of_job(self) -> job.Placement:
        """Return what a recipe is told of it."""
        names = ("use_cpu", "machine_rank", "main_process_ip", "main_process_port")
        values = {name: self.accelerate[name] for name in names if name in self.accelerate}
        return job.Placement(self.processes, machines=self.machines, **values)

    def write(self, folder: Path) -> None:
        """Write the accelerate config file of the run."""
        text = yaml.safe_dump({**self.accelerate}, sort_keys=False)
        (folder / "accelerate.yaml").write_text(text, encoding="utf-8")


def free_port() -> int:
    """Return a port that nobody uses; the system gives each that asks another."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
