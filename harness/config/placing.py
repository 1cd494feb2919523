"""Where a run is placed: what `placement=` and the recipe say, on the machine there is.

`placement=NAME` is a plain accelerate config file, configs/accelerate/NAME.yaml, with the run's own values over it.
"""

import socket
from collections.abc import Sequence

import yaml

from harness.base.errors import UserError
from harness.base.home import ROOT
from harness.config.settings import Recipe, Settings
from harness.machine.host import Machine
from harness.machine.placement import Placement

FILES = ROOT / "configs" / "accelerate"


def placed(settings: Settings, machine: Machine) -> Placement:
    """Return the placement that is asked for; what this machine or the recipe cannot is refused."""
    chosen, recipe, gpus = settings.placement, settings.recipe, machine.gpus
    name = auto(recipe, machine) if chosen.name == "auto" else chosen.name
    accelerate = yaml.safe_load((FILES / f"{name}.yaml").read_text(encoding="utf-8")) | chosen.accelerate
    check_taken(name, recipe.name, recipe.places, recipe.elsewhere)
    if not accelerate["use_cpu"]:
        check_gpus(name, machine)
    own = len(gpus) if name == "multi_gpu" else accelerate["num_processes"]
    processes = accelerate["num_processes"] = chosen.processes or own
    machines = accelerate.get("num_machines", 1)
    check_counts(processes, machines, accelerate.get("machine_rank", 0))
    if not accelerate["use_cpu"] and processes // machines > len(gpus):
        raise UserError(f"placement.processes={processes}: GPUs on this machine: {len(gpus)}.", code=2)
    if machines > 1:
        check_address(str(accelerate["main_process_ip"]))
    if processes > 1:
        check_one_device_only(settings)
    devices = () if accelerate["use_cpu"] else gpus[: processes // machines]
    return Placement(name, accelerate, processes > 1 and not recipe.one_process, devices)


def check_taken(name: str, recipe: str, places: Sequence[str], elsewhere: str | None) -> None:
    """Refuse a placement that a recipe does not take."""
    if name not in places:
        why = f": {elsewhere}" if elsewhere else ""
        raise UserError(f"placement={name}: recipe={recipe} takes {', '.join(places)}{why}.", code=2)


def auto(recipe: Recipe, machine: Machine) -> str:
    """Return what `placement=auto` takes here."""
    return "gpu" if "gpu" in recipe.places and machine.gpus else "cpu"


def check_gpus(name: str, machine: Machine) -> None:
    """Refuse a placement on GPUs where there is none."""
    if not machine.gpus:
        raise UserError(f"placement={name}: there is no GPU here. Take placement=cpu or multi_cpu.", code=2)


def check_one_device_only(settings: Settings) -> None:
    """Refuse what is done on one device only: some of a recipe's by its file, {key: why}, and measure.target."""
    recipe, protocol = settings.recipe, settings.protocol.name
    asked = {"train.accumulate": settings.train.accumulate > 1, f"protocol={protocol}": True}
    asked[f"compile={settings.compile.value}"] = True
    for key, why in recipe.one_device_only.items():
        if asked.get(key):
            raise UserError(f"recipe={recipe.name} has {key} on one device only: {why}.", code=2)
    if settings.measure.target is not None:
        raise UserError("measure.target: how long it takes is told of one process or device only.", code=2)


def check_counts(processes: int, machines: int, rank: int) -> None:
    """Refuse numbers of processes and machines that do not go together."""
    if processes % machines:
        raise UserError(
            f"placement.processes={processes}: not a multiple of placement.num_machines={machines}.", code=2
        )
    if rank >= machines:
        raise UserError(f"placement.machine_rank={rank}: {machines} machines are counted from 0.", code=2)


def check_address(host: str) -> None:
    """Refuse an address of machine 0 that this machine cannot find."""
    try:
        socket.getaddrinfo(host or " ", None)  # an empty one is this machine
    except (OSError, UnicodeError):
        said = f"placement.main_process_ip={host}: no machine of this name is known here; give machine 0's address"
        raise UserError(f"{said}, as this one reaches it.", code=2) from None
