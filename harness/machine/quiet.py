"""How quiet the machine was while a run worked: a time counts only where nobody else had the processors and GPUs."""

import time
from collections.abc import Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

import psutil

from harness.machine import host
from harness.machine.energy import Energy
from harness.machine.gpu import Gpu

LOAD = 0.05  # of the processors' time, by others: a desktop with nothing to do, or a server's daemons, take less
STEAL = 0.02  # of it, by the host of a virtual machine
BUSIEST = 0.15  # of it, by both, within any 5 s: as long as the calls of one batch size are timed
GPU_LOAD = 0.05  # of a GPU's time, by others: a screen takes less
BETWEEN = 5.0  # seconds between two looks


@dataclass(frozen=True)
class Counted:
    """Seconds since some moment: all, those of the processors we may use, and our own on them."""

    wall: float
    busy: float
    stolen: float
    ours: float

    @classmethod
    def now(cls) -> "Counted":
        busy = stolen = 0.0
        for number, times in enumerate(psutil.cpu_times(percpu=True)):
            if number in host.cores():
                busy += sum(getattr(times, kind, 0.0) for kind in ("user", "nice", "system", "irq", "softirq"))
                stolen += getattr(times, "steal", 0.0)
        ours = sum(map(taken, [psutil.Process(), *psutil.Process().children(recursive=True)]))
        return cls(time.monotonic(), busy, stolen, ours)


def taken(process: psutil.Process) -> float:
    """Return the seconds that a process has had, and those of its children that it has waited for."""
    with suppress(psutil.Error):
        times = process.cpu_times()
        return times.user + times.system + times.children_user + times.children_system
    return 0.0


class Watch:
    """Counts from the start of a run on, and looks at processors and meters every few seconds.

    `devices`: the run's GPUs, as CUDA_VISIBLE_DEVICES names them; it computes in so many `processes` on them.
    """

    def __init__(self, devices: Sequence[str] = (), processes: int = 1) -> None:
        self.energy = Energy(devices)
        self.strangers = Strangers(Gpu.open(devices), processes) if devices else None
        self.start = self.last = Counted.now()
        self.windows: list[Shares | None] = []
        self.frequencies: list[float] = []

    def look(self, ours: Set[int] = frozenset()) -> None:
        """Look at what is due; `ours`: the numbers of the run's processes so far."""
        if self.strangers:
            self.strangers.look(ours)
        if time.monotonic() - self.last.wall < BETWEEN:
            return
        now = Counted.now()
        self.windows.append(of_others(self.last, now, len(host.cores())))
        self.last = now
        self.energy.look()
        if frequency := megahertz():
            self.frequencies.append(frequency)

    def figures(self) -> dict[str, float | bool | None]:
        """Return the figures of result.json."""
        seen, whole = self.frequencies, of_others(self.start, Counted.now(), len(host.cores()))
        frequency = round(sum(seen) / len(seen), 1) if seen else None
        figures = judged(whole, self.windows) | {"machine.gpu_others": None}
        if self.strangers:
            quiet = figures["machine.quiet"]
            figures |= with_gpus(None if quiet is None else bool(quiet), self.strangers.there)
        return {**figures, "machine.frequency_mhz": frequency, "energy.kwh": self.energy.kwh()}


class Strangers:
    """Looks for others on the run's GPUs: before it begins whoever is there, then whoever is not of its processes.

    In a container NVML knows processes by the numbers that they have outside, so that ours are not among them: there
    are others if there are more than we have.
    """

    def __init__(self, gpu: Gpu | None, processes: int) -> None:
        self.gpu, self.processes = gpu, processes
        self.before = bool(gpu and (gpu.running() or (gpu.busy() or 0.0) > GPU_LOAD))
        self.ours = self.others = False  # seen, of processes that have our numbers and of those that have not
        self.most = 0

    def look(self, ours: Set[int]) -> None:
        """Look at who is there now; `ours`: the numbers of the run's processes so far."""
        running = {process.pid for process in (self.gpu and self.gpu.running()) or []}
        self.ours |= bool(running & ours)
        self.others |= bool(running - ours)
        self.most = max(self.most, len(running))

    @property
    def there(self) -> bool | None:
        """Tell whether others used the GPUs; None where NVML has told of no process, not of ours either."""
        if self.before:
            return True
        if not self.most:
            return None
        return self.others if self.ours else self.most > self.processes


def with_gpus(quiet: bool | None, others: bool | None) -> dict[str, bool | None]:
    """Return the figures of a run on GPUs: quiet where the processors and they were, not where either was not."""
    both = (quiet, None if others is None else not others)
    return {"machine.gpu_others": others, "machine.quiet": False if False in both else None if None in both else True}


class Shares(NamedTuple):
    """What others and the host took, as shares of the processors' time."""

    load: float
    steal: float


def of_others(start: Counted, end: Counted, processors: int) -> Shares | None:
    """Return the shares between two counts; None where the system does not count."""
    time_of_all = (end.wall - start.wall) * processors
    if end.busy <= start.busy or not time_of_all:
        return None
    load = max(0.0, end.busy - start.busy - (end.ours - start.ours)) / time_of_all
    return Shares(round(load, 3), round((end.stolen - start.stolen) / time_of_all, 3))


def judged(whole: Shares | None, windows: Sequence[Shares | None]) -> dict[str, float | bool | None]:
    """Return the figures of a run, and whether that is quiet: on the whole, and at each moment."""
    if whole is None:
        return dict.fromkeys(("machine.load", "machine.steal", "machine.busiest", "machine.quiet"))
    busiest = round(max(sum(window) for window in [whole, *windows] if window), 3)
    quiet = whole.load <= LOAD and whole.steal <= STEAL and busiest <= BUSIEST
    shares = {"machine.load": whole.load, "machine.steal": whole.steal, "machine.busiest": busiest}
    return {**shares, "machine.quiet": quiet}


def timing(quiet: bool | None, told: bool) -> str:
    """Return what a run's times are: `ok`; `noisy`, no timing; or `told`, where one lets them count all the same."""
    return "ok" if quiet else "told" if told else "noisy"


def megahertz() -> float | None:
    """Return the frequency of the processors now, where the system tells it."""
    with suppress(AttributeError, NotImplementedError, OSError, RuntimeError):
        if now := psutil.cpu_freq():
            return now.current
    return None
