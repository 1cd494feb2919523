"""Memory of a process and all its children, sampled from outside, by phase."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import psutil

from harness.machine.gpu import Gpu

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
    """Samples the resident memory of process trees, and that of `devices`: GPUs, as CUDA_VISIBLE_DEVICES names them.

    Pages that processes share count once for each of them, as in `ps`.
    """

    def __init__(self, devices: Sequence[str] = ()) -> None:
        self.all, self.gpu_processes, self.gpu_devices = Peak(), Peak(), Peak()
        self.phases: dict[str, Peak] = defaultdict(Peak)
        self.gpu = Gpu.open(devices) if devices else None
        self.pids: set[int] = set()  # of all processes that there have been

    def sample(self, pid: int, phase: str | None) -> int:
        """Take one sample of the tree under `pid`; return its resident memory in bytes."""
        resident = 0
        with_children = []
        try:
            root = psutil.Process(pid)
            with_children = [root, *root.children(recursive=True)]
        except psutil.NoSuchProcess:
            pass
        for process in with_children:
            try:
                resident += process.memory_info().rss
                self.pids.add(process.pid)
            except psutil.NoSuchProcess:
                continue
        if resident:
            self.all.take(resident)
            if phase:
                self.phases[phase].take(resident)
        if self.gpu and (used := self.gpu.of_processes(self.pids)) is not None:
            self.gpu_processes.take(used)
        if self.gpu and (used := self.gpu.of_devices()) is not None:
            self.gpu_devices.take(used)
        return resident

    def figures(self) -> dict[str, float | None]:
        """Return the flat figures of `result.json`, in MB (10^6 bytes); those of GPUs are None where NVML told none."""
        figures: dict[str, float | None] = {
            "memory.peak_rss_mb": round(self.all.peak / MB, 1),
            "memory.mean_rss_mb": round(self.all.mean / MB, 1),
            "memory.gpu_process_peak_mb": told(self.gpu_processes),
            "memory.gpu_device_peak_mb": told(self.gpu_devices),
        }
        for phase, seen in self.phases.items():
            figures[f"memory.{phase}.peak_rss_mb"] = round(seen.peak / MB, 1)
        return figures


def told(seen: Peak) -> float | None:
    """Return the peak in MB; None where no sample was taken."""
    return round(seen.peak / MB, 1) if seen.samples else None
