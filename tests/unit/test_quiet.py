"""How quiet the machine was: what others took of it."""

import os
import signal
import subprocess
import sys
import time

import pytest

from harness import machine, quiet, summary
from harness.quiet import Counted, Shares, judged, of_others


def figures(load, steal, busiest, quiet):
    return {"machine.load": load, "machine.steal": steal, "machine.busiest": busiest, "machine.quiet": quiet}


@pytest.mark.parametrize(
    ("busy", "stolen", "ours", "expected"),
    [
        (20.0, 0.0, 19.5, figures(0.025, 0.0, 0.025, True)),
        (20.0, 0.0, 15.0, figures(0.25, 0.0, 0.25, False)),
        (15.0, 1.0, 15.0, figures(0.0, 0.05, 0.05, False)),
        (19.9, 0.0, 20.0, figures(0.0, 0.0, 0.0, True)),  # counted in ticks
        (0.0, 0.0, 15.0, figures(None, None, None, None)),
    ],
)
def test_load_is_what_was_busy_and_not_ours_of_both_processors(busy, stolen, ours, expected):
    start = Counted(100.0, 7.0, 3.0, 5.0)
    assert judged(of_others(start, Counted(110.0, 7.0 + busy, 3.0 + stolen, 5.0 + ours), 2), []) == expected


def test_a_disturbance_of_seconds_is_none_too_quiet_where_the_whole_run_hides_it():
    whole, still, disturbed = Shares(0.03, 0.0), Shares(0.01, 0.0), Shares(0.5, 0.02)
    assert judged(whole, [still, None, still]) == figures(0.03, 0.0, 0.03, True)
    assert judged(whole, [still, disturbed, still]) == figures(0.03, 0.0, 0.52, False)


def test_work_of_ours_that_goes_on_is_no_load_and_that_of_others_is(tmp_path):
    """Two processes spin for half a second, one after the other: a child, and one that is nobody's."""
    spin = "import time, pathlib\nend = time.process_time() + 0.5\nwhile time.process_time() < end: pass\n"
    spin += f"pathlib.Path({str(tmp_path / 'done')!r}).touch()\ntime.sleep(20)"
    done, start = tmp_path / "done", Counted.now()
    child = subprocess.Popen([sys.executable, "-c", spin])
    wait_for(done)
    ours = Counted.now()
    child.kill()
    child.wait()
    assert ours.ours - start.ours >= 0.5, "it still runs"
    done.unlink()
    before = Counted.now()
    shell = 'exec 0<&- >/dev/null 2>&1; "$@" & echo $! > "$PID"'
    subprocess.run(["sh", "-c", shell, "sh", sys.executable, "-c", spin], env={**os.environ, "PID": f"{done}.pid"})
    wait_for(done)
    both = Counted.now()
    os.kill(int((tmp_path / "done.pid").read_text()), signal.SIGKILL)
    assert both.ours - before.ours < 0.3
    assert both.busy - before.busy >= 0.4
    share = 0.2 / (both.wall - before.wall) / len(machine.cores())
    assert of_others(before, both, len(machine.cores())).load >= share


def wait_for(path):
    end = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("was_quiet", "told", "expected"),
    [(True, False, "ok"), (True, True, "ok"), (False, False, "noisy"), (False, True, "told"), (None, False, "noisy")],
)
def test_the_times_of_a_run_on_a_busy_machine_are_none_unless_told(was_quiet, told, expected):
    assert quiet.timing(was_quiet, told) == expected


def test_the_summary_says_why():
    row = dict.fromkeys(("train.seconds", "train.samples_per_second", "train.rows", "memory.peak_rss_mb"), 1)
    row |= {"model.parameters": None, "timing": "noisy", "machine.load": 0.31, "machine.steal": 0.04}
    row["machine.busiest"] = 0.6
    said = "\n".join(summary.figures(row))
    assert "noisy     others took 31% of the processors' time, the host 4%, for some seconds 60%: no timing" in said
    assert "noisy" not in "\n".join(summary.figures({**row, "timing": "told"}))
