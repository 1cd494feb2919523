"""GPUs for tests on a machine that has none: a stand-in for NVIDIA's library, which says what a test lets it say."""
# ruff: noqa: N802  the names are nvidia-ml-py's

import sys
import types


class Nvml:
    """Cards, of which some may be in MIG mode.

    A card is a dictionary: uuid, capability, used (bytes), running ({pid: bytes, or None for untold}), busy (percent),
    millijoules, and instances, a list of the same, of one in MIG mode; with `lost` it is, with `unified` it has no
    memory of its own. What it has not is answered by NVMLError, or with `old` as by a library older than nvidia-ml-py.
    """

    class NVMLError(Exception):
        pass

    class NVMLLibraryMismatchError(Exception):
        pass

    old = False

    def __init__(self, *cards: dict):
        self.cards = [
            {"uuid": f"GPU-{number}{number}aa", "capability": (9, 0), **card} for number, card in enumerate(cards)
        ]
        self.parts = [part for card in self.cards for part in card.get("instances", [])]

    def told(self, handle: dict, key: str):
        if key not in handle:
            raise self.NVMLLibraryMismatchError if self.old else self.NVMLError("Not Supported")
        return handle[key]

    def nvmlInit(self):
        if not self.cards:
            raise self.NVMLError("Driver Not Loaded")

    def nvmlDeviceGetCount(self):
        return len(self.cards)

    def nvmlDeviceGetHandleByIndex(self, index):
        if "lost" in self.cards[index]:
            raise self.NVMLError("GPU is lost")
        return self.cards[index]

    def nvmlDeviceGetUUID(self, handle):
        return handle["uuid"]

    def nvmlDeviceGetHandleByUUID(self, uuid):
        found = [handle for handle in self.cards + self.parts if handle["uuid"] == uuid]
        if not found:
            raise self.NVMLError("Not Found")
        return found[0]

    def nvmlDeviceGetName(self, handle):
        return handle.get("name", "a card")

    def nvmlDeviceGetCudaComputeCapability(self, handle):
        return self.told(handle, "capability")

    def nvmlDeviceGetMemoryInfo(self, handle):
        if "unified" in handle:
            raise self.NVMLError("Not Supported")
        return types.SimpleNamespace(used=handle.get("used", 0), total=80 << 30)

    def nvmlDeviceGetComputeRunningProcesses(self, handle):
        running = self.told(handle, "running")
        return [types.SimpleNamespace(pid=pid, usedGpuMemory=used) for pid, used in running.items()]

    def nvmlDeviceGetUtilizationRates(self, handle):
        return types.SimpleNamespace(gpu=self.told(handle, "busy"))

    def nvmlDeviceGetTotalEnergyConsumption(self, handle):
        return self.told(handle, "millijoules")

    def nvmlDeviceGetMigMode(self, handle):
        self.told(handle, "instances")
        return [1, 1]

    def nvmlDeviceGetMaxMigDeviceCount(self, handle):
        return 7

    def nvmlDeviceGetMigDeviceHandleByIndex(self, handle, index):
        if index >= len(handle["instances"]):
            raise self.NVMLError("Not Found")
        return handle["instances"][index]

    def nvmlDeviceGetDeviceHandleFromMigDeviceHandle(self, handle):
        return next(card for card in self.cards if handle in card.get("instances", []))


def cards(monkeypatch, *described: dict) -> Nvml:
    """Put these cards into the machine, all of them for us."""
    nvml = Nvml(*described)
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return nvml
