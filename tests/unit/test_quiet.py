"""How quiet the machine was: what others took of it."""

import os
import subprocess
import sys

import pytest

from harness import machine, quiet, summary
from harness.quiet import Counted, of_others


@pytest.mark.parametrize(
    ("busy", "stolen", "ours", "expected"),
    [
        (20.0, 0.0, 19.5, {"machine.load": 0.025, "machine.steal": 0.0, "machine.quiet": True}),
        (20.0, 0.0, 15.0, {"machine.load": 0.25, "machine.steal": 0.0, "machine.quiet": False}),
        (15.0, 1.0, 15.0, {"machine.load": 0.0, "machine.steal": 0.05, "machine.quiet": False}),
        (19.9, 0.0, 20.0, {"machine.load": 0.0, "machine.steal": 0.0, "machine.quiet": True}),  # counted in ticks
        (0.0, 0.0, 15.0, {"machine.load": None, "machine.steal": None, "machine.quiet": None}),
    ],
)
def test_load_is_what_was_busy_and_not_ours_of_both_processors(busy, stolen, ours, expected):
    start = Counted(100.0, 7.0, 3.0, 5.0)
    assert of_others(start, Counted(110.0, 7.0 + busy, 3.0 + stolen, 5.0 + ours), 2) == expected


def test_our_own_work_is_no_load_and_that_of_others_is():
    """Two processes spin for half a second, one after the other: ours, and one that is never waited for in between."""
    spin = [sys.executable, "-c", "import time\nend = time.process_time() + 0.5\nwhile time.process_time() < end: pass"]
    start = Counted.now()
    subprocess.run(spin, check=True)
    ours = Counted.now()
    assert ours.ours - start.ours >= 0.5
    stranger = subprocess.Popen(spin)
    os.waitid(os.P_PID, stranger.pid, os.WEXITED | os.WNOWAIT)  # it has ended; its time is not yet a child's
    both = Counted.now()
    stranger.wait()
    assert both.ours - ours.ours < 0.1
    assert both.busy - ours.busy >= 0.4
    share = 0.4 / (both.wall - ours.wall) / len(machine.cores())
    assert of_others(ours, both, len(machine.cores()))["machine.load"] >= share * 0.9


@pytest.mark.parametrize(
    ("was_quiet", "told", "expected"),
    [(True, False, "ok"), (True, True, "ok"), (False, False, "noisy"), (False, True, "told"), (None, False, "noisy")],
)
def test_the_times_of_a_run_on_a_busy_machine_are_none_unless_told(was_quiet, told, expected):
    assert quiet.timing(was_quiet, told) == expected


def test_the_summary_says_why():
    row = dict.fromkeys(("train.seconds", "train.samples_per_second", "train.rows", "memory.peak_rss_mb"), 1)
    row |= {"model.parameters": None, "timing": "noisy", "machine.load": 0.31, "machine.steal": 0.04}
    said = "\n".join(summary.figures(row))
    assert "noisy     others took 31% of the processors' time, the host 4%: no timing" in said
    assert "noisy" not in "\n".join(summary.figures({**row, "timing": "told"}))
