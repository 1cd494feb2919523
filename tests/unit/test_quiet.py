"""How quiet the machine was: what others took of it."""

import os
import signal
import subprocess
import sys
import time

import pytest
from gpu_support import cards

from harness.figures import summary
from harness.machine import host, quiet
from harness.machine.quiet import Counted, Shares, judged, of_others


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
    share = 0.2 / (both.wall - before.wall) / len(host.cores())
    assert of_others(before, both, len(host.cores())).load >= share


def wait_for(path):
    end = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < end
        time.sleep(0.01)


OURS = {10, 11}


@pytest.mark.parametrize(
    ("before", "seen", "processes", "others"),
    [
        ([], [[], [10], [10], []], 1, False),
        ([], [[10, 11], [10, 11]], 2, False),
        ([], [[10], [10, 99], [10]], 1, True),
        ([], [[10], [99]], 1, True),
        ([99], [[10]], 1, True),
        ([], [[777]], 1, False),  # in a container: one, and we have one
        ([], [[777, 778], [777]], 1, True),
        ([], [[777, 778]], 2, False),
        ([777], [[778]], 1, True),
        ([], [[], []], 1, None),  # nobody, not us either: NVML does not tell
        (None, [None], 1, None),
        (None, [[10]], 1, False),
    ],
)
def test_others_on_the_run_s_gpus_are_seen_before_it_or_beside_it_or_nothing_is_known(
    monkeypatch, before, seen, processes, others
):
    nvml = cards(monkeypatch, {"running": dict.fromkeys([55])}, {})

    def there(pids):
        nvml.cards[1].pop("running", None)
        if pids is not None:
            nvml.cards[1]["running"] = dict.fromkeys(pids)

    there(before)
    watch = quiet.Watch(["1"], processes)  # 55 is on another card
    for pids in seen:
        there(pids)
        watch.look(OURS)
    figures = watch.figures()
    assert figures["machine.gpu_others"] is others
    if others is not False:
        assert figures["machine.quiet"] in (False, others)  # the machine these tests run on may be busy


@pytest.mark.parametrize(("busy", "others"), [(3, False), (40, True)])
def test_a_gpu_that_computes_before_we_begin_has_others_also_where_no_process_is_told(monkeypatch, busy, others):
    cards(monkeypatch, {"running": {}, "busy": busy})
    strangers = quiet.Watch(["0"]).strangers
    strangers.gpu.cards[0]["running"] = {10: 1}
    strangers.look(OURS)
    assert strangers.there is others


@pytest.mark.parametrize("processors", [True, False, None])
@pytest.mark.parametrize("others", [True, False, None])
def test_a_run_on_gpus_is_quiet_where_both_are(processors, others):
    told = quiet.with_gpus(processors, others)["machine.quiet"]
    assert told is (True if processors and others is False else False if others or processors is False else None)


def test_a_run_on_processors_has_nothing_to_do_with_gpus(monkeypatch):
    cards(monkeypatch, {"running": {99: 1}, "busy": 100})
    assert quiet.Watch().figures()["machine.gpu_others"] is None


@pytest.mark.parametrize(
    ("was_quiet", "told", "expected"),
    [(True, False, "ok"), (True, True, "ok"), (False, False, "noisy"), (False, True, "told"), (None, False, "noisy")],
)
def test_the_times_of_a_run_on_a_busy_machine_are_none_unless_told(was_quiet, told, expected):
    assert quiet.timing(was_quiet, told) == expected


def test_the_summary_says_why():
    row = dict.fromkeys(("train.seconds", "train.samples_per_second", "train.rows", "memory.peak_rss_mb"), 1)
    row |= {"model.parameters": None, "timing": "noisy", "machine.load": 0.31, "machine.steal": 0.04}
    row |= {"machine.busiest": 0.6, "machine.quiet": False}
    said = "\n".join(summary.figures(row))
    assert "noisy     others took 31% of the processors' time, the host 4%, for some seconds 60%: no timing" in said
    assert "noisy" not in "\n".join(summary.figures({**row, "timing": "told"}))
    still = {**row, "machine.load": 0.0, "machine.steal": 0.0, "machine.busiest": 0.0}
    for others, said in (
        (True, "others used the GPU: no timing"),
        (None, "whether others used the GPU cannot be told"),
    ):
        row = still | {"machine.gpu_others": others, "machine.quiet": False if others else None}
        assert said in "\n".join(summary.figures(row))
