"""When a run is ended, and what is said of one that ended badly."""

import pytest

from harness.runs import launch
from harness.runs.launch import Outcome


@pytest.mark.parametrize(
    ("limits", "seconds", "resident", "status"),
    [
        ({"minutes": None, "memory_gb": 2.0}, 1e9, 2_000_000_000, None),
        ({"minutes": None, "memory_gb": 2.0}, 0.0, 2_000_000_001, "out_of_memory"),
        ({"minutes": 1.5, "memory_gb": None}, 90.0, 10**15, None),
        ({"minutes": 1.5, "memory_gb": None}, 90.1, 0, "timed_out"),
    ],
)
def test_a_limit_is_in_minutes_and_in_gb_of_10_to_the_9_bytes(limits, seconds, resident, status):
    over = launch.exceeded(limits, seconds, resident)
    assert (over[0] if over else None) == status


@pytest.mark.parametrize(
    ("code", "message", "transient"),
    [
        (1, "[Errno 98] Address already in use", True),
        (1, "The server socket has failed to bind to [::]:29500 (errno: 98 - Address already in use).", True),
        (1, "num_samples=0", False),
        (-9, None, True),
        (3, None, False),
    ],
)
def test_a_port_that_another_took_and_a_signal_may_not_come_again_and_an_error_of_the_library_does(
    tmp_path, code, message, transient
):
    outcome = Outcome()
    if message:
        outcome.take({"event": "error", "type": "RuntimeError", "message": message})
    launch.diagnose(code, outcome, tmp_path)
    assert outcome.transient is transient
