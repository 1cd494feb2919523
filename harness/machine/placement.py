"""Where a run is placed: one process or several, on processors or on GPUs, on one machine or several.

`placement=NAME` is a plain accelerate config file, configs/accelerate/NAME.yaml, with the run's own values over it.
Every recipe goes by that: those that accelerate starts, and one whose library drives several devices from one process.
"""

import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from harness.base import environments
from harness.base.errors import UserError
from harness.base.home import ROOT
from harness.machine import host
from recipes.contract import job

MEETING = 1800  # seconds that a machine waits for the others: one may have an environment to build yet
FILES = ROOT / "configs" / "accelerate"
KEYS = {  # of conf/recipe/: what it can, not what a run is
    "places", "places_of", "elsewhere", "one_process", "cpu_builds", "one_device_only", "one_device_only_of",
}  # fmt: skip


@dataclass(frozen=True)
class Placement:
    """A placement as resolved. `accelerate`: the values of its accelerate config file."""

    name: str
    accelerate: dict[str, Any]
    launched: bool  # by `accelerate launch`, in several processes

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

    @property
    def devices(self) -> list[str]:
        """The run's own GPUs on this machine, as CUDA_VISIBLE_DEVICES names them; none on the processors."""
        return host.gpu_ids()[: self.processes // self.machines] if self.gpu else []

    def identity(self) -> dict[str, Any]:
        """Return what makes another run of this one: nothing for one process on the processors."""
        if not self.gpu and self.processes == 1:
            return {}
        what = {"device": "gpu" if self.gpu else "cpu", "processes": self.processes}
        if self.machines > 1:
            what |= {"machines": self.machines, "machine_rank": self.accelerate["machine_rank"]}
        return {"placement": what}

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
        text = yaml.safe_dump(self.accelerate, sort_keys=False)
        (folder / "accelerate.yaml").write_text(text, encoding="utf-8")


def of(config: dict[str, Any]) -> Placement:
    """Return the placement that the configuration asks for; what this machine or the recipe cannot is refused."""
    chosen, recipe = config["placement"], config["recipe"]
    name = auto(recipe, config["env"]) if chosen["name"] == "auto" else chosen["name"]
    values = yaml.safe_load((FILES / f"{name}.yaml").read_text(encoding="utf-8"))
    values |= {key: value for key, value in chosen.items() if key not in ("name", "processes")}
    if name not in (takes := places(recipe)):
        why = f": {recipe['elsewhere']}" if recipe.get("elsewhere") else ""
        raise UserError(f"placement={name}: recipe={recipe['name']} takes {', '.join(takes)}{why}.", code=2)
    gpus = len(host.gpu_ids())
    if not values["use_cpu"]:
        check_gpus(config, name, gpus)
    values["num_processes"] = chosen.get("processes") or (gpus if name == "multi_gpu" else values["num_processes"])
    placed = Placement(name, values, values["num_processes"] > 1 and not recipe.get("one_process"))
    check_counts(placed, gpus)
    if placed.machines > 1:
        check_address(str(values["main_process_ip"]))
    if placed.processes > 1:
        check_one_device_only(config)
        if config["measure"]["target"] is not None:
            raise UserError("measure.target: how long it takes is told of one process or device only.", code=2)
    return placed


def places(recipe: dict[str, Any]) -> list[str]:
    """Return the placements that a recipe takes; its file in conf/recipe/ says them."""
    return recipe.get("places", ["cpu"])


def auto(recipe: dict[str, Any], env: str) -> str:
    """Return what `placement=auto` takes here."""
    able = "gpu" in places(recipe) and not (environments.is_ours(env) and of_cpu_build(recipe))
    return "gpu" if able and host.gpu_ids() else "cpu"


def of_cpu_build(recipe: dict[str, Any]) -> bool:
    """Tell whether the recipe's own environment has a library without GPU support."""
    return recipe.get("backend") in recipe.get("cpu_builds", [])


def check_gpus(config: dict[str, Any], name: str, gpus: int) -> None:
    """Refuse a placement on GPUs where there is none, or where the recipe's environment cannot use one."""
    if not gpus:
        raise UserError(f"placement={name}: there is no GPU here. Take placement=cpu or multi_cpu.", code=2)
    if environments.is_ours(config["env"]) and of_cpu_build(config["recipe"]):
        backend = config["recipe"]["backend"]
        raise UserError(
            f"placement={name}: recipe.backend={backend} has the CPU build in its own environment.\n"
            f"Take env=PYTHON of one where {backend} was installed for GPUs, or recipe.backend=torch.",
            code=2,
        )


def check_one_device_only(config: dict[str, Any]) -> None:
    """Refuse what a recipe does on one device only, by its file: {key: why}."""
    recipe, protocol = config["recipe"], config["protocol"]["name"]
    asked = {"train.accumulate": config["train"]["accumulate"] > 1, f"protocol={protocol}": True}
    for key, why in recipe.get("one_device_only", {}).items():
        if asked.get(key):
            raise UserError(f"recipe={recipe['name']} has {key} on one device only: {why}.", code=2)


def check_counts(placed: Placement, gpus: int) -> None:
    """Refuse numbers of processes and machines that do not go together, or more GPUs than there are."""
    processes, machines = placed.processes, placed.machines
    if processes % machines:
        raise UserError(
            f"placement.processes={processes}: not a multiple of placement.num_machines={machines}.", code=2
        )
    if placed.accelerate.get("machine_rank", 0) >= machines:
        rank = placed.accelerate["machine_rank"]
        raise UserError(f"placement.machine_rank={rank}: {machines} machines are counted from 0.", code=2)
    if placed.gpu and processes // machines > gpus:
        raise UserError(f"placement.processes={processes}: GPUs on this machine: {gpus}.", code=2)


def check_address(host: str) -> None:
    """Refuse an address of machine 0 that this machine cannot find."""
    try:
        socket.getaddrinfo(host or " ", None)  # an empty one is this machine
    except (OSError, UnicodeError):
        said = f"placement.main_process_ip={host}: no machine of this name is known here; give machine 0's address"
        raise UserError(f"{said}, as this one reaches it.", code=2) from None


def free_port() -> int:
    """Return a port that nobody uses; the system gives each that asks another."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
