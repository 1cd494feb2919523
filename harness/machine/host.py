"""What machine this is, in the words of a result row."""

import functools
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from harness.machine.gpu import Gpu

AMPERE = (8, 0)  # the compute capability that TF32 and bf16 came with


@dataclass(frozen=True)
class Machine:
    """What a run may use of a machine: all that what it is asked for means there depends on.

    `bf16`: its processors compute that natively. `capabilities`: the compute capability of each GPU, by the names of
    CUDA_VISIBLE_DEVICES, in the order in which they are taken.
    """

    processors: int
    bf16: bool = False
    capabilities: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    @classmethod
    def here(cls) -> "Machine":
        names = gpu_ids()
        gpu = Gpu.open(names) if names else None
        capabilities = dict(zip(names, gpu.capabilities(), strict=True)) if gpu else {}
        return cls(processors(), processor_computes_bf16(), capabilities)

    @property
    def gpus(self) -> tuple[str, ...]:
        return tuple(self.capabilities)

    def computes_tf32(self, devices: Sequence[str]) -> bool:
        """Tell whether all of these of its GPUs, of which there is one at least, have instructions for TF32."""
        return bool(devices) and all(self.capabilities[name] >= AMPERE for name in devices)

    def computes_bf16(self, devices: Sequence[str]) -> bool:
        """Tell whether these of its GPUs, or without any the processors, do so natively (elsewhere it is slower)."""
        return self.computes_tf32(devices) if devices else self.bf16


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


def processor_computes_bf16() -> bool:
    """Tell whether the processor has instructions for bf16."""
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
