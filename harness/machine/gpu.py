"""The GPUs of a run, through NVIDIA's management library (NVML): which they are, and what they say of themselves.

They have the names that CUDA_VISIBLE_DEVICES has: numbers, or UUIDs of cards and of MIG instances (parts of a card).
Numbers are NVML's, which are nvidia-smi's. CUDA's own have the fastest card first, where it is not told `ORDER`.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

ORDER = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}  # the environment of whatever is given numbers


@dataclass(frozen=True)
class Device:
    """NVML's handles of a card, and of what of it is meant: all, or a MIG instance; None where that is not known."""

    card: Any
    part: Any | None


class Gpu:
    """Some devices of this machine; `open` returns None where there is no NVML, or where one is not known to it."""

    def __init__(self, nvml: Any, names: Sequence[str] | None = None):
        self.nvml = nvml
        self.errors = nvml.NVMLError, nvml.NVMLLibraryMismatchError  # the second: a driver without a function is old
        self.cards = [self.card(number) for number in range(nvml.nvmlDeviceGetCount())]
        if names is None:
            names = [str(number) for number, card in enumerate(self.cards) if card is not None]
        self.called = list(names)
        self.devices = [device for name in names if (device := self.device(name))]

    @classmethod
    def open(cls, names: Sequence[str] | None = None) -> "Gpu | None":
        """Return the devices with these names; without any the cards of the machine."""
        import pynvml

        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError:
            return None
        found = cls(pynvml, names)
        return found if len(found.devices) == len(found.called) else None

    def card(self, number: int) -> Any | None:
        """Return the handle of a card; None of one that is lost, or that is not for us."""
        with suppress(*self.errors):
            return self.nvml.nvmlDeviceGetHandleByIndex(number)
        return None

    def device(self, name: str) -> Device | None:
        """Return the device with a name: a number, or a UUID; a card's may be cut short where no other begins so."""
        if name.isdecimal():
            card = self.cards[int(name)] if int(name) < len(self.cards) else None
        elif name.startswith("MIG-"):
            with suppress(*self.errors):
                part = self.nvml.nvmlDeviceGetHandleByUUID(name)
                return Device(self.nvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(part), part)
            return None
        else:
            cards = [card for card in self.cards if card is not None and name.startswith("GPU-")]
            named = [card for card in cards if self.nvml.nvmlDeviceGetUUID(card).startswith(name)]
            card = named[0] if len(named) == 1 else None
        return None if card is None else Device(card, self.part(card))

    def part(self, card: Any) -> Any | None:
        """Return what CUDA uses of a card that is named: all, or of one in MIG mode the only instance there is."""
        with suppress(*self.errors):  # most cards have no MIG
            if self.nvml.nvmlDeviceGetMigMode(card)[0]:
                instances = list(self.instances(card))
                return instances[0] if len(instances) == 1 else None
        return card

    def instances(self, card: Any) -> Iterator[Any]:
        for number in range(self.nvml.nvmlDeviceGetMaxMigDeviceCount(card)):
            with suppress(*self.errors):
                yield self.nvml.nvmlDeviceGetMigDeviceHandleByIndex(card, number)

    def names(self) -> list[str]:
        return [str(self.nvml.nvmlDeviceGetName(device.card)) for device in self.devices]

    def memories(self) -> list[int | None]:
        """Return the memory of each card, in bytes; None of one that has none of its own."""
        found: list[int | None] = []
        for device in self.devices:
            found.append(None)
            with suppress(*self.errors):
                found[-1] = self.nvml.nvmlDeviceGetMemoryInfo(device.card).total
        return found

    def capabilities(self) -> list[tuple[int, int]]:
        """Return the compute capability of each device; bf16 and TF32 came with 8.0."""
        return [tuple(self.nvml.nvmlDeviceGetCudaComputeCapability(device.card)) for device in self.devices]

    def joules(self, number: int) -> float:
        """Return what the meter of a device, counted from 0, reads; OSError where it has none, as a part of a card."""
        try:
            return self.nvml.nvmlDeviceGetTotalEnergyConsumption(self.devices[number].part) / 1e3
        except self.errors as error:
            raise OSError(str(error)) from error

    def of_devices(self) -> int | None:
        """Bytes in use on the devices, whoever uses them; None where one does not say."""
        told = self.each(self.nvml.nvmlDeviceGetMemoryInfo)
        return None if told is None else sum(memory.used for memory in told)

    def of_processes(self, pids: set[int]) -> int | None:
        """Bytes in use on the devices by the processes `pids`; None where NVML does not say of any of them.

        In a container it knows processes by the numbers that they have outside.
        """
        used = [process.usedGpuMemory for process in self.running() or [] if process.pid in pids]
        return None if None in used or not used else sum(used)

    def running(self) -> list[Any] | None:
        """Return NVML's entries of the processes that compute on the devices; None where one does not say."""
        told = self.each(self.nvml.nvmlDeviceGetComputeRunningProcesses)
        return None if told is None else [process for processes in told for process in processes]

    def busy(self) -> float | None:
        """Return the share of the last second or less that the busiest device computed; None where one does not say."""
        told = self.each(self.nvml.nvmlDeviceGetUtilizationRates)
        return max(rates.gpu for rates in told) / 100 if told else None

    def each(self, ask: Callable[[Any], Any]) -> list[Any] | None:
        """Return what NVML answers of each device; None where it does not of one of them."""
        if any(device.part is None for device in self.devices):
            return None
        try:
            return [ask(device.part) for device in self.devices]
        except self.errors:
            return None
