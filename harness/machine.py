"""What machine this is, in the words of a result row."""

import functools
import os
import platform
from collections.abc import Sequence
from pathlib import Path

import psutil

from harness.monitor import Gpu

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
    """Return processor, number of processors, memory, GPUs and system in one line."""
    gpu = Gpu.open()
    memory = f"{psutil.virtual_memory().total / 2**30:.0f} GiB"
    gpus = ", ".join(gpu.names()) if gpu and gpu.handles else "no GPU"
    return f"{processor()}, {processors()} processors, {memory}, {gpus}, {platform.system()} {platform.machine()}"


def gpu_ids() -> list[str]:
    """Return the GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    gpu = Gpu.open()
    every = [str(number) for number in range(len(gpu.handles))] if gpu else []
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is None or not every:
        return every
    return [name.strip() for name in chosen.split(",") if name.strip() not in ("", "-1")]


def computes_bf16(on_gpu: bool) -> bool:
    """Tell whether the GPUs, or the processor, have instructions for bf16 (elsewhere it is slower)."""
    if on_gpu:
        gpu = Gpu.open()
        return all(capability >= (8, 0) for capability in gpu.capabilities()) if gpu else False
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
