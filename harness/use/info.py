"""`python train.py --info`: what this machine has for a run, and what the automatic choices take here."""

import contextlib
from typing import Any

import psutil

from harness import config
from harness.base import layout
from harness.config.placing import auto
from harness.config.settings import Recipe, made
from harness.machine import host, placement
from harness.machine.gpu import Gpu
from harness.results.traits import libraries


def show() -> int:
    """Print processors, memory, GPUs, precisions, ports, and what `placement=auto` and `precision=auto` take."""
    memory, machine = psutil.virtual_memory(), host.Machine.here()
    usable = machine.gpus
    on_gpu, native = bool(usable), machine.computes_bf16(usable[:1])  # one is what auto takes
    kinds = f"fp32, {'tf32, ' if machine.computes_tf32(usable[:1]) else ''}and bf16"
    lines = [
        ("processors", f"{host.processors()} for us, of {psutil.cpu_count()}; {host.processor()}"),
        ("memory", f"{memory.total / 2**30:.1f} GiB, {memory.available / 2**30:.1f} GiB of it available"),
        *(("GPU", text) for text in gpus()),
        ("precision", f"{kinds} {'natively' if native else 'by emulation, which is slower'}"),
        ("ports", f"{placement.free_port()} is free; in use: {', '.join(map(str, ports())) or 'none'}"),
        ("auto", f"placement={'gpu' if on_gpu else 'cpu'}, precision={'bf16' if native else 'fp32'}"),
    ]
    if on_gpu:
        others = [name for name in config.choices("recipe") if auto(recipe(name), machine) == "cpu"]
        lines.append(("", f"placement=cpu for {', '.join(others)}"))
    elif native:
        slower = [library.name for library in libraries() if not library.faster_in_bf16]
        lines.append(("", f"precision=fp32 for {', '.join(slower)}"))
    told = (f"{name:<10}  {text}" for name, text in lines)
    print("\n".join(line for text in told for line in layout.wrapped(text, layout.columns())))
    return 0


def gpus() -> list[str]:
    """Return name, memory and compute capability of each GPU, and whether we may use it."""
    gpu, usable = Gpu.open(), host.gpu_ids()
    if not gpu or not gpu.devices:
        return ["none"]
    told = [
        f"{number}: {name}, {f'{memory / 2**30:.0f} GiB' if memory else 'memory of the machine'}, "
        f"compute capability {'.'.join(map(str, capability))}"
        for number, name, memory, capability in zip(
            gpu.called, gpu.names(), gpu.memories(), gpu.capabilities(), strict=True
        )
    ]
    return [*told, f"for us (CUDA_VISIBLE_DEVICES): {', '.join(usable) or 'none'}"]


def recipe(name: str) -> Recipe:
    """Return the file of a recipe, as it is resolved without other words."""
    from omegaconf import OmegaConf

    values: Any = OmegaConf.to_container(OmegaConf.create(config.source("recipe", name)), resolve=True)
    return made(Recipe, values)


def ports() -> list[int]:
    """Return the ports that somebody listens on; those of other users where the system tells."""
    with contextlib.suppress(psutil.AccessDenied):
        found = psutil.net_connections("tcp")
        return sorted({one.laddr.port for one in found if one.laddr and one.status == psutil.CONN_LISTEN})
    return []
