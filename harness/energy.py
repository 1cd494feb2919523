"""Energy as the machine's own meters read it: RAPL of the processors and their memory, NVML of the GPUs. No estimates.

codecarbon reads the same meters, but falls back on half the rated power where there is none (its issue 524), and brings
24 packages more than the core has.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from harness.monitor import Gpu

RAPL = Path("/sys/class/powercap")
JOULES_OF_KWH = 3.6e6


@dataclass
class Meter:
    """A counter of joules that begins again at 0 when it comes to `range`."""

    read: Callable[[], float]
    range: float = float("inf")

    def __post_init__(self) -> None:
        self.last, self.joules = self.read(), 0.0

    def look(self) -> None:
        """Add what it has counted since the last look; within one it must not come round twice."""
        now = self.read()
        self.joules += now - self.last if now >= self.last else now + self.range - self.last
        self.last = now


class Energy:
    """The meters of what a run works on; all of them must be readable, or nothing is known."""

    def __init__(self, gpu: bool):
        try:
            self.meters = processors() + (gpus() if gpu else [])
        except (OSError, ValueError):  # most systems let root alone read RAPL; some GPUs have no meter
            self.meters = []

    def look(self) -> None:
        try:
            for meter in self.meters:
                meter.look()
        except (OSError, ValueError):
            self.meters = []

    def kwh(self) -> float | None:
        """Return what has been used since the start, by whoever it was."""
        self.look()
        return round(sum(meter.joules for meter in self.meters) / JOULES_OF_KWH, 8) if self.meters else None


def processors() -> list[Meter]:
    """Return the meters of the processors' packages and of the memory beside, which is not in them."""
    found = []
    for zone in sorted(RAPL.glob("intel-rapl:*")):  # AMD's too
        name = (zone / "name").read_text().strip()
        if name.startswith("package") or name == "dram":
            found.append(Meter(partial(joules, zone, "energy_uj"), joules(zone, "max_energy_range_uj")))
    if not found:
        raise OSError(f"no meter in {RAPL}")
    return found


def joules(zone: Path, name: str) -> float:
    return int((zone / name).read_text()) / 1e6


def gpus() -> list[Meter]:
    """Return the meters of the GPUs."""
    gpu = Gpu.open()
    if not gpu:
        raise OSError("no GPU")
    return [Meter(partial(joules_of_gpu, gpu, handle)) for handle in gpu.handles]


def joules_of_gpu(gpu: Gpu, handle: Any) -> float:
    try:
        return gpu.nvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1e3
    except gpu.nvml.NVMLError as error:
        raise OSError(str(error)) from error
