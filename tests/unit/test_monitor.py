"""Memory is sampled from outside, of the whole process tree."""

import subprocess
import sys

import pytest
from gpu_support import cards

from harness.machine import monitor

GRANDCHILD = "import sys; x = bytearray(int(sys.argv[1])); x[::4096] = b'x' * len(x[::4096]); print('ready'); input()"
CHILD = "import subprocess, sys; subprocess.run([sys.executable, '-c', *sys.argv[1:]])"


def test_a_grandchild_s_memory_counts_in_its_phase_only():
    sampled = monitor.Monitor()
    sampled.sample(subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE).pid, "before")
    size = 300_000_000
    command = [sys.executable, "-c", CHILD, GRANDCHILD, str(size)]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "ready\n"
    sampled.sample(child.pid, "during")
    child.communicate("\n")
    figures = sampled.figures()
    assert figures["memory.during.peak_rss_mb"] > 300
    assert figures["memory.before.peak_rss_mb"] < 100
    assert figures["memory.peak_rss_mb"] == figures["memory.during.peak_rss_mb"]
    assert figures["memory.mean_rss_mb"] < figures["memory.peak_rss_mb"]


def test_an_ended_process_counts_nothing():
    sampled = monitor.Monitor()
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert sampled.sample(process.pid, None) == 0


MB = 10**6


@pytest.fixture
def child():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process.pid
    process.communicate()


def test_gpu_memory_is_told_of_our_processes_and_of_the_run_s_own_devices_alone(monkeypatch, child):
    """Three cards, of which the run has the second: others hold more, on it and on the rest."""
    nvml = cards(monkeypatch, *({"used": 9000 * MB, "running": {99: 8000 * MB}} for _ in range(3)))
    nvml.cards[1] |= {"used": 3000 * MB, "running": {child: 1200 * MB, 99: 1500 * MB}}
    nvml.cards[2]["running"][child] = 500 * MB  # a context that a library leaves there
    sampled = monitor.Monitor(["1"])
    sampled.sample(child, "train")
    nvml.cards[1] |= {"used": 1000 * MB, "running": {}}
    sampled.sample(child, "train")
    figures = sampled.figures()
    assert figures["memory.gpu_process_peak_mb"] == 1200
    assert figures["memory.gpu_device_peak_mb"] == 3000


@pytest.mark.parametrize(
    "card",
    [
        {"used": 3000 * MB, "running": {4711: 1200 * MB}},  # in a container NVML has the numbers of the machine
        {"used": 3000 * MB, "running": "our child, and no number of bytes"},
        {"used": 3000 * MB},  # it refuses, as on some partitions
    ],
)
def test_memory_of_processes_that_nvml_does_not_tell_is_unknown_and_not_nothing(monkeypatch, child, card):
    if isinstance(card.get("running"), str):
        card["running"] = {child: None}
    cards(monkeypatch, card)
    sampled = monitor.Monitor(["0"])
    sampled.sample(child, "train")
    assert sampled.figures()["memory.gpu_process_peak_mb"] is None
    assert sampled.figures()["memory.gpu_device_peak_mb"] == 3000


@pytest.mark.parametrize("card", [{"unified": True}, {"lost": True}, {"instances": [{"uuid": "a"}, {"uuid": "b"}]}])
@pytest.mark.parametrize("old", [False, True])
def test_a_card_or_a_driver_that_tells_nothing_leaves_no_figures_and_ends_no_run(monkeypatch, child, card, old):
    cards(monkeypatch, card).old = old
    sampled = monitor.Monitor(["0"])
    assert sampled.sample(child, "train") > 0
    figures = sampled.figures()
    assert figures["memory.gpu_process_peak_mb"] is figures["memory.gpu_device_peak_mb"] is None


def test_a_run_on_processors_has_no_figures_of_gpus_there_or_not(monkeypatch, child):
    for there in ([], [{"used": 3000 * MB, "running": {}}]):
        cards(monkeypatch, *there)
        sampled = monitor.Monitor()
        sampled.sample(child, "train")
        figures = sampled.figures()
        assert {figures["memory.gpu_device_peak_mb"], figures["memory.gpu_process_peak_mb"]} == {None}
