"""How quiet the machine was while a run worked: a time counts as one only where nobody else had the processors."""

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import psutil

from harness import machine
from harness.energy import Energy

LOAD = 0.05  # of the processors' time, by others: a desktop with nothing to do, or a server's daemons, take less
STEAL = 0.02  # of it, by the host of a virtual machine
BETWEEN = 5.0  # seconds between two looks at the frequency


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
            if number in machine.cores():
                busy += sum(getattr(times, kind, 0.0) for kind in ("user", "nice", "system", "irq", "softirq"))
                stolen += getattr(times, "steal", 0.0)
        own = os.times()  # of children, those that have ended
        ours = own.user + own.system + own.children_user + own.children_system
        return cls(time.monotonic(), busy, stolen, ours)


class Watch:
    """Counts from the start of a run on, and looks at the processors' frequency and the meters now and then."""

    def __init__(self, gpu: bool = False) -> None:
        self.energy = Energy(gpu)
        self.start, self.looked = Counted.now(), 0.0
        self.frequencies: list[float] = []

    def look(self) -> None:
        if time.monotonic() - self.looked > BETWEEN:
            self.looked = time.monotonic()
            self.energy.look()
            if frequency := megahertz():
                self.frequencies.append(frequency)

    def figures(self) -> dict[str, Any]:
        """Return the figures of result.json; the run's processes have ended."""
        seen = self.frequencies
        shares = of_others(self.start, Counted.now(), len(machine.cores()))
        frequency = round(sum(seen) / len(seen), 1) if seen else None
        return {**shares, "machine.frequency_mhz": frequency, "energy.kwh": self.energy.kwh()}


def of_others(start: Counted, end: Counted, processors: int) -> dict[str, Any]:
    """Return what share of the processors' time others had between two counts, and whether that is quiet.

    Where the system does not count, nothing is known.
    """
    time_of_all = (end.wall - start.wall) * processors
    if end.busy <= start.busy or not time_of_all:
        return {"machine.load": None, "machine.steal": None, "machine.quiet": None}
    load = round(max(0.0, end.busy - start.busy - (end.ours - start.ours)) / time_of_all, 3)
    steal = round((end.stolen - start.stolen) / time_of_all, 3)
    return {"machine.load": load, "machine.steal": steal, "machine.quiet": load <= LOAD and steal <= STEAL}


def timing(quiet: bool | None, told: bool) -> str:
    """Return what a run's times are: `ok`; `noisy`, no timing; or `told`, where one lets them count all the same."""
    return "ok" if quiet else "told" if told else "noisy"


def megahertz() -> float | None:
    """Return the frequency of the processors now, where the system tells it."""
    with suppress(AttributeError, NotImplementedError, OSError, RuntimeError):
        if now := psutil.cpu_freq():
            return now.current
    return None
