"""What `auto`, `null` and `managed` mean on a machine."""

from dataclasses import dataclass, replace

from harness.base import environments
from harness.base.errors import UserError
from harness.config import ways
from harness.config.placing import placed
from harness.config.settings import Precision, Settings
from harness.machine.host import Machine
from harness.machine.placement import Placement


@dataclass(frozen=True)
class Resolved:
    """What settings mean on one machine."""

    placed: Placement
    precision: str  # fp32, bf16 or tf32
    threads: int  # of all the worker's processes together
    managed: str  # the environment that we have for the recipe, by the name of its list: on GPUs it may be another
    environment: str  # what tells the run's from another one: see environments.identity


def resolve(settings: Settings, machine: Machine) -> Resolved:
    """Return what settings mean on a machine; UserError for what it, or the recipe, cannot."""
    where = placed(settings, machine)
    chosen = precision(settings, where, machine)
    ways.check(settings, where)
    managed = environments.for_gpu(settings.recipe.environment) if where.gpu else settings.recipe.environment
    accelerate = {**where.accelerate, "mixed_precision": chosen if chosen in ("bf16", "fp16") else "no"}
    return Resolved(
        replace(where, accelerate=accelerate),
        chosen,
        settings.threads or machine.processors,
        managed,
        environments.identity(managed, settings.env),
    )


def precision(settings: Settings, where: Placement, machine: Machine) -> str:
    """Return the precision of a run; `auto` is bf16 where the device computes it natively, and the recipe faster."""
    recipe, asked = settings.recipe, settings.precision
    if settings.protocol.name == "controlled":
        if not recipe.pretrained:
            raise UserError(f"protocol=controlled: recipe={recipe.name} has no encoder; take protocol=native.", code=2)
        if asked not in (Precision.auto, Precision.fp32):
            raise UserError("protocol=controlled is in fp32; leave precision= out, or take protocol=native.", code=2)
        return "fp32"
    if asked == Precision.auto:
        slow = not where.devices and recipe.framework in recipe.slow_bf16
        fp32 = slow or recipe.no_bf16 or not machine.computes_bf16(where.devices)
        return "fp32" if fp32 else "bf16"
    if asked == Precision.bf16 and recipe.no_bf16:
        raise UserError(f"precision=bf16: recipe={recipe.name} cannot: {recipe.no_bf16}.\nTake precision=fp32.", 2)
    if asked == Precision.fp16 and recipe.by_epochs and ways.device(where) not in recipe.fp16:
        other = ", bf16" if not recipe.no_bf16 else ""
        said = "scales its loss on GPUs alone" if recipe.fp16 else "does not scale its loss"
        raise UserError(
            f"precision=fp16: recipe={recipe.name} {said}, which fp16 needs.\nTake precision=fp32{other}.", code=2
        )
    if asked == Precision.tf32 and recipe.by_epochs and not machine.computes_tf32(where.devices):
        which = "these GPUs are older" if where.gpu else f"placement={where.name} is on processors"
        raise UserError(  # it would be a run in fp32 by another name
            f"precision=tf32 is for NVIDIA's GPUs of compute capability 8.0 or newer, and {which}.\n"
            "Take precision=fp32, or bf16.",
            code=2,
        )
    return asked.value
