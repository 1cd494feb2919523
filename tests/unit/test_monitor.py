"""Memory is sampled from outside, of the whole process tree."""

import subprocess
import sys
import types

import pytest

from harness import monitor

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


def test_gpu_memory_is_told_per_process_and_for_the_whole_device(monkeypatch):
    """Two devices in NVIDIA's interface, one of our processes and a stranger on the first."""
    running = {0: [(10, 100), (99, 1000)], 1: []}
    nvml = types.SimpleNamespace(
        NVMLError=RuntimeError,
        nvmlInit=lambda: None,
        nvmlDeviceGetCount=lambda: 2,
        nvmlDeviceGetHandleByIndex=lambda index: index,
        nvmlDeviceGetMemoryInfo=lambda handle: types.SimpleNamespace(used=2000 * (1 - handle)),
        nvmlDeviceGetComputeRunningProcesses=lambda handle: [
            types.SimpleNamespace(pid=pid, usedGpuMemory=used) for pid, used in running[handle]
        ],
    )
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    gpu = monitor.Gpu.open()
    assert gpu.of_processes({10, 11}) == 100
    assert gpu.of_devices() == 2000


def test_without_a_gpu_its_figures_are_empty(monkeypatch):
    def fail():
        raise RuntimeError

    monkeypatch.setitem(sys.modules, "pynvml", types.SimpleNamespace(NVMLError=RuntimeError, nvmlInit=fail))
    assert monitor.Monitor().figures()["memory.gpu_device_peak_mb"] is None


def hidden(handle):
    return [types.SimpleNamespace(pid=1, usedGpuMemory=None)]


def refused(handle):
    raise RuntimeError("not supported")


@pytest.mark.parametrize("running", [hidden, refused])
def test_a_device_that_hides_its_processes_counts_none(running):
    nvml = types.SimpleNamespace(
        NVMLError=RuntimeError,
        nvmlDeviceGetCount=lambda: 1,
        nvmlDeviceGetHandleByIndex=lambda index: index,
        nvmlDeviceGetComputeRunningProcesses=running,
    )
    assert monitor.Gpu(nvml).of_processes({1}) == 0
