"""What machine this is, in the words of a result row."""

import functools
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from harness.machine.gpu import Gpu


@dataclass(frozen=True)
class Machine:
    """What a run may use of this machine: how many processors, and which GPUs, by the names of CUDA_VISIBLE_DEVICES."""

    processors: int
    gpus: tuple[str, ...] = ()

    @classmethod
    def here(cls) -> "Machine":
        return cls(processors(), tuple(gpu_ids()))

    def computes_tf32(self, devices: Sequence[str]) -> bool:
        """Tell whether these of its GPUs do."""
        return computes_tf32(devices)

    def computes_bf16(self, devices: Sequence[str]) -> bool:
        """Tell whether these of its GPUs, or without any its processor, do natively."""
        return computes_bf16(devices)


_bound: list[int] = []  # where the system cannot bind a process to processors


def processors() -> int:
    """Return how many processors this process may use."""
    return len(cores())


def cores() -> list[int]:
    """Return the numbers of the processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return _bound or list(range(os.cpu_count() or 1))


def bind(numbers: Sequence[int]) -> None:
    """Let this process, and those it starts from now on, use these processors alone."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, numbers)
    else:
        _bound[:] = numbers


@functools.cache
def describe() -> str:
    """Return processor, number of processors and GPUs for us, memory and system in one line."""
    gpu = Gpu.open(gpu_ids())
    memory = f"{psutil.virtual_memory().total / 2**30:.0f} GiB"
    gpus = ", ".join(gpu.names() if gpu else []) or "no GPU"
    return f"{processor()}, {processors()} processors, {memory}, {gpus}, {platform.system()} {platform.machine()}"


def gpu_ids() -> list[str]:
    """Return the GPUs that this process may use, by the names of CUDA_VISIBLE_DEVICES, as CUDA reads that.

    The first that there is not ends the list; where one is named twice there is none (CUDA C++ Programming Guide,
    "CUDA Environment Variables").
    """
    if not (every := Gpu.open()):
        return []
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is None:
        return every.called
    names: list[str] = []
    for name in (name.strip() for name in chosen.split(",")):
        if not every.device(name):
            break
        names.append(name)
    return names if len(set(names)) == len(names) else []


def computes_tf32(devices: Sequence[str]) -> bool:
    """Tell whether all of these GPUs, of which there is one at least, have instructions for TF32; bf16 came with it."""
    gpu = Gpu.open(devices) if devices else None
    return gpu is not None and all(capability >= (8, 0) for capability in gpu.capabilities())


def computes_bf16(devices: Sequence[str]) -> bool:
    """Tell whether these GPUs, or without any the processor, have instructions for bf16 (elsewhere it is slower)."""
    if devices:
        return computes_tf32(devices)
    flags = set(_cpuinfo("flags").split()) | set(_cpuinfo("Features").split())
    return bool(flags & {"avx512_bf16", "amx_bf16", "bf16"})


def processor() -> str:
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def _cpuinfo(field: str) -> str:
    """Return a field of the first processor; empty where the system has no such list."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(field)), "")
