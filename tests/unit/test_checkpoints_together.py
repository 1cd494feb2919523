"""Checkpoints of several processes and machines: each writes its part, and all go on from the same one."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from checkpoints_support import Events, flip, names

from recipes.contract import checkpoints
from recipes.contract.checkpoints import Checkpoints


class Gather:
    """What processes tell one another, as threads: each call returns what all have given, by rank."""

    def __init__(self, processes):
        self.said, self.all_here, self.calls = [None] * processes, threading.Barrier(processes, timeout=30), 0

    def of(self, rank):
        def gather(value):
            self.said[rank] = value
            self.all_here.wait()
            said = list(self.said)
            if not self.all_here.wait():
                self.calls += 1
            return said

        return gather


def at_once(processes, action):
    """Return what the processes' action gives, done by all of them at once."""
    with ThreadPoolExecutor(len(processes)) as pool:
        return list(pool.map(action, processes))


def two(folder, **every):
    """Return the checkpoints of two processes on one machine, as each of them has them."""
    gather = Gather(2)
    return [Checkpoints(folder, Events(), rank=rank, ranks=2, gather=gather.of(rank), **every) for rank in range(2)]


def machines(place, *steps, **every):
    """Return the checkpoints of machines that share no folder, with one process each, after so many steps each."""
    gather, made = Gather(len(steps)), []
    for number, there in enumerate(steps):
        made.append(Checkpoints(place / str(number), Events(), gather=gather.of(number), **every))
        for step in there:
            with made[-1].writing(step) as folder:
                (folder / "state").write_bytes(b"%d" % step * 1000)
        made[-1].event.clear()
    return gather, made


def test_of_two_processes_each_writes_its_part_and_the_first_seals(tmp_path):
    first, second = two(tmp_path / "checkpoints", steps=1)

    def write(checkpoints):
        with checkpoints.writing(1) as folder:
            time.sleep(0.05 * checkpoints.rank)
            (folder / f"part{checkpoints.rank}").write_text("x", encoding="utf-8")

    at_once((second, first), write)
    newest, same = at_once((first, second), Checkpoints.newest)
    assert newest == same
    sealed = json.loads((newest / "checkpoint.json").read_text(encoding="utf-8"))
    assert {"part0", "part1"} <= sealed["files"].keys()


def test_a_process_that_does_not_come_is_named_and_waited_for_only_so_long(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "PATIENCE", 0.05)
    monkeypatch.setattr(checkpoints, "LONGEST", 0.3)
    first, second = two(tmp_path / "checkpoints", steps=1)
    part = "process 1 of this machine to write its part of the checkpoint of step 7"
    with pytest.raises(TimeoutError, match=part), first.writing(7):
        pass
    assert [kind for kind, _ in first.event] == ["waiting"]
    assert names(first) == []
    with pytest.raises(TimeoutError, match="the first process to begin the checkpoint of step 8"), second.writing(8):
        pass


@pytest.mark.parametrize(
    ("there", "newest", "left"),
    [
        (([2, 4], [2, 4]), 4, ([2, 4], [2, 4])),
        (([2, 4], [2]), 2, ([2], [2])),  # one was killed while it wrote
        (([4, 6], [2, 4]), 4, ([4], [2, 4])),
        (([2, 4], []), None, ([], [])),
        (([4, 6], [2]), None, ([], [])),
        (([], []), None, ([], [])),
        (([2, 4], [2, 4], [2]), 2, ([2], [2], [2])),
    ],
)
def test_machines_that_share_no_folder_go_on_from_the_newest_step_that_all_have_whole(tmp_path, there, newest, left):
    _, all_of_them = machines(tmp_path, *there, steps=2)
    found = at_once(all_of_them, Checkpoints.newest)
    for number, (one, folder) in enumerate(zip(all_of_them, found, strict=True)):
        assert folder == (tmp_path / str(number) / f"checkpoint-{newest}" if newest else None)
        kept = sorted(int(path.name[11:]) for path in one.folder.glob("*"))
        assert kept == left[number]
        told = [kind for kind, _ in one.event]
        assert told.count("resumed") == bool(newest)
        assert told.count("anew") == (newest is None and any(there)), "each machine is told why, or nothing was there"
        assert told.count("checkpoint_refused") == (len(set(there[number]) - set(left[number])) if newest else 0)


def test_one_that_is_spoiled_on_one_machine_is_gone_on_from_on_none(tmp_path):
    _, (first, second) = machines(tmp_path, [2, 4], [2, 4], steps=2)
    flip(second.folder / "checkpoint-4" / "state")
    assert [folder.name for folder in at_once((first, second), Checkpoints.newest)] == ["checkpoint-2"] * 2
    assert ("checkpoint_refused", 4) in first.event
    assert ("checkpoint_refused", 4) in second.event


@pytest.mark.parametrize("pace", [lambda step: 1.0, lambda step: 5.0 if step < 3 else 0.5, lambda step: 0.01 * step])
def test_machines_go_by_the_clock_of_the_first_and_ask_it_rarely(tmp_path, monkeypatch, pace):
    """The clock of the second runs ahead by an hour. Steps of one length, slow ones first, ever slower ones."""
    now, due = [1000.0], []
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    gather, (first, second) = machines(tmp_path, [], [], seconds=60)
    at_once((first, second), Checkpoints.newest)
    calls = gather.calls
    for step in range(1, 1001):
        now[0] += pace(step)
        second.last = now[0] - 3600
        both = at_once((first, second), lambda one, step=step: one.due(step))
        assert both[0] == both[1]
        if both[0]:
            assert now[0] - first.last >= 60
            assert now[0] - first.last <= 60 + 2 * pace(step) + 60, "not long after"
            first.last = now[0]
            due.append(step)
    assert len(due) >= (now[0] - 1000) / 150
    assert gather.calls - calls <= 14 * (1 + len(due))
