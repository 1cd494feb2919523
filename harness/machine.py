"""What machine this is, in the words of a result row."""

import functools
import os
import platform
from pathlib import Path

import psutil

from harness.monitor import Gpu


def processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@functools.cache
def describe() -> str:
    """Return processor, number of processors, memory, GPUs and system in one line."""
    gpu = Gpu.open()
    memory = f"{psutil.virtual_memory().total / 2**30:.0f} GiB"
    gpus = ", ".join(gpu.names()) if gpu and gpu.handles else "no GPU"
    return f"{_processor()}, {processors()} processors, {memory}, {gpus}, {platform.system()} {platform.machine()}"


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
