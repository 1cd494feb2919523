"""Memory of a process and all its children, sampled from outside, by phase."""

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import psutil

MB = 1e6


@dataclass
class Peak:
    """Resident memory seen so far, in bytes."""

    peak: int = 0
    total: int = 0
    samples: int = 0

    def take(self, value: int) -> None:
        self.peak = max(self.peak, value)
        self.total += value
        self.samples += 1

    @property
    def mean(self) -> float:
        return self.total / max(1, self.samples)


class Monitor:
    """Samples the resident memory of process trees, and GPU memory where there is a GPU.

    Pages that processes share count once for each of them, as in `ps`.
    """

    def __init__(self) -> None:
        self.all, self.gpu_processes, self.gpu_devices = Peak(), Peak(), Peak()
        self.phases: dict[str, Peak] = defaultdict(Peak)
        self.gpu = Gpu.open()

    def sample(self, pid: int, phase: str | None) -> int:
        """Take one sample of the tree under `pid`; return its resident memory in bytes."""
        resident, pids = 0, set()
        with_children = []
        try:
            root = psutil.Process(pid)
            with_children = [root, *root.children(recursive=True)]
        except psutil.NoSuchProcess:
            pass
        for process in with_children:
            try:
                resident += process.memory_info().rss
                pids.add(process.pid)
            except psutil.NoSuchProcess:
                continue
        if resident:
            self.all.take(resident)
            if phase:
                self.phases[phase].take(resident)
        if self.gpu:
            self.gpu_processes.take(self.gpu.of_processes(pids))
            self.gpu_devices.take(self.gpu.of_devices())
        return resident

    def figures(self) -> dict[str, float | None]:
        """Return the flat figures of `result.json`, in MB (10^6 bytes); GPU figures are None without a GPU."""
        figures: dict[str, float | None] = {
            "memory.peak_rss_mb": round(self.all.peak / MB, 1),
            "memory.mean_rss_mb": round(self.all.mean / MB, 1),
            "memory.gpu_process_peak_mb": round(self.gpu_processes.peak / MB, 1) if self.gpu else None,
            "memory.gpu_device_peak_mb": round(self.gpu_devices.peak / MB, 1) if self.gpu else None,
        }
        for phase, seen in self.phases.items():
            figures[f"memory.{phase}.peak_rss_mb"] = round(seen.peak / MB, 1)
        return figures


class Gpu:
    """GPU memory through NVIDIA's management library; `open` returns None where there is none."""

    def __init__(self, nvml: Any):
        self.nvml = nvml
        self.handles = [nvml.nvmlDeviceGetHandleByIndex(i) for i in range(nvml.nvmlDeviceGetCount())]

    @classmethod
    def open(cls) -> "Gpu | None":
        import pynvml

        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError:
            return None
        return cls(pynvml)

    def names(self) -> list[str]:
        return [str(self.nvml.nvmlDeviceGetName(handle)) for handle in self.handles]

    def memories(self) -> list[int]:
        """Return the memory of each device, in bytes."""
        return [self.nvml.nvmlDeviceGetMemoryInfo(handle).total for handle in self.handles]

    def capabilities(self) -> list[tuple[int, int]]:
        """Return the compute capability of each device; bf16 came with 8.0."""
        return [tuple(self.nvml.nvmlDeviceGetCudaComputeCapability(handle)) for handle in self.handles]

    def of_devices(self) -> int:
        """Bytes in use on all devices, whoever uses them."""
        return sum(self.nvml.nvmlDeviceGetMemoryInfo(handle).used for handle in self.handles)

    def of_processes(self, pids: set[int]) -> int:
        """Bytes in use on all devices by the processes `pids`."""
        used = 0
        for handle in self.handles:
            try:
                running = self.nvml.nvmlDeviceGetComputeRunningProcesses(handle)
            except self.nvml.NVMLError:  # some drivers and partitions do not tell
                continue
            used += sum(process.usedGpuMemory or 0 for process in running if process.pid in pids)
        return used
