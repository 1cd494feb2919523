"""Energy as the machine's own meters read it: RAPL of the processors and their memory, NVML of the GPUs. No estimates.

codecarbon reads the same meters, but falls back on half the rated power where there is none (its issue 524), and brings
24 packages more than the core has.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from harness.machine.gpu import Gpu

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
    """The meters of what a run works on; all of them must be readable, or nothing is known.

    `devices`: its GPUs, as CUDA_VISIBLE_DEVICES names them.
    """

    def __init__(self, devices: Sequence[str] = ()):
        try:
            self.meters = processors() + (gpus(devices) if devices else [])
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


def gpus(devices: Sequence[str]) -> list[Meter]:
    """Return the meters of GPUs."""
    gpu = Gpu.open(devices)
    if not gpu or any(device.part is None for device in gpu.devices):
        raise OSError("NVML does not know the GPUs")
    return [Meter(partial(gpu.joules, number)) for number in range(len(devices))]
