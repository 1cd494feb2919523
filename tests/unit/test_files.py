"""A file that several processes write at once is whole to whoever reads it, and nothing of a killed writer is left."""

import json
import os
import signal
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from support import ROOT

from harness.base import home
from harness.figures.metrics import METRICS
from harness.results import small
from harness.runs import store
from harness.sweeps.record import Record, Run
from recipes.contract import files

WRITE = """
import sys
from pathlib import Path
from harness.runs.store import write_json
sys.stdin.read(1)
for number in range(int(sys.argv[2])):
    write_json(Path(sys.argv[1]), {"values": [number] * 2000, "end": number})
"""
HALF = """
import sys, time
from pathlib import Path
from recipes.contract.files import whole
with whole(Path(sys.argv[1])) as handle:
    handle.write("half")
    handle.flush()
    print("half", flush=True)
    time.sleep(60)
"""


def started(code, *words):
    command = [sys.executable, "-c", code, *map(str, words)]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_eight_write_at_once_a_thousand_times_and_no_reader_sees_half_a_file(tmp_path):
    path = tmp_path / "sweep.json"
    store.write_json(path, {"values": [0] * 2000, "end": 0})
    writers = [started(WRITE, path, 125) for _ in range(8)]
    for writer in writers:
        writer.stdin.write(".")
        writer.stdin.close()
    seen = 0
    while any(writer.poll() is None for writer in writers):
        read = json.loads(path.read_text(encoding="utf-8"))
        assert set(read["values"]) == {read["end"]}
        seen += 1
    assert [writer.wait() for writer in writers] == [0] * 8
    assert seen > 1
    assert [one.name for one in tmp_path.iterdir()] == ["sweep.json"]


def test_writers_with_one_process_id_do_not_meet(tmp_path, monkeypatch):
    """As on machines that share a file system."""
    monkeypatch.setattr(os, "getpid", lambda: 1)
    path = tmp_path / "file"
    with files.whole(path) as first, files.whole(path) as second:
        first.write("first")
        second.write("second")
        assert first.name != second.name
    assert path.read_text(encoding="utf-8") == "first", "the one that ended last"


def test_what_a_killed_writer_left_is_cleared_away_and_what_is_being_written_is_not(tmp_path):
    path = tmp_path / "file"
    killed, other = started(HALF, path), started(HALF, tmp_path / "other")
    for writer in (killed, other):
        assert writer.stdout.readline() == "half\n"
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    with files.whole(path) as slow:
        slow.write("slow")
        store.write_json(path, [])
        assert len(list(tmp_path.glob(".file.*.part"))) == 1, "the one that is still at work"
    assert path.read_text(encoding="utf-8") == "slow"
    assert not list(tmp_path.glob(".file.*")) and len(list(tmp_path.glob(".other.*"))) == 1
    other.kill()
    other.wait()


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_one_that_fails_changes_nothing_and_leaves_nothing(tmp_path, error):
    path = tmp_path / "file"
    path.write_text("before", encoding="utf-8")
    with pytest.raises(error), files.whole(path) as handle:
        handle.write("half")
        raise error
    assert [(one.name, one.read_text(encoding="utf-8")) for one in tmp_path.iterdir()] == [("file", "before")]


def test_the_file_may_be_read_by_those_whom_the_umask_lets(tmp_path):
    before = os.umask(0o022)
    try:
        store.write_json(tmp_path / "file", [])
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o644


def test_the_record_of_a_sweep_may_be_written_by_all_who_do_it(tmp_path):
    """With notes of an earlier time, which each of them would remove."""
    record = Record(["-m"], [Run(["seed=0"], None, {}, reason="x", code=2)])
    told = record.write(tmp_path) / "told"

    def write(_):
        told.mkdir(exist_ok=True)
        store.write_json(told / "run.json", {"reason": "not here", "folder": None, "code": 2})
        return record.write(tmp_path)

    with ThreadPoolExecutor(8) as pool:
        (folder,) = set(pool.map(write, range(200)))
    assert Record.read(folder) == record
    assert sorted(one.name for one in folder.iterdir()) == ["sweep.json", "told"]


def test_a_lock_whose_file_its_holder_removes_is_still_held_by_one_at_a_time(tmp_path):
    """As where a folder is worked in, and removed with the lock in it."""
    inside, most = [], []

    def work(number):
        with home.locked(tmp_path / "work" / "lock", "a test"):
            inside.append(number)
            most.append(len(inside))
            inside.remove(number)  # the next may come as soon as the file is gone
            (tmp_path / "work" / "lock").unlink()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(400)))
    assert set(most) == {1}


def test_a_reference_result_may_be_kept_by_two_at_once(tmp_path, monkeypatch):
    class Result:
        row, folder, latencies, curve, classes = {"data": "onet"}, tmp_path / "run", {}, [(1, 0.5)], []
        metrics = METRICS["classification"]

    with ThreadPoolExecutor(8) as pool:
        (kept,) = set(pool.map(lambda _: small.keep(Result, tmp_path / "reference"), range(200)))
    assert sorted(one.name for one in kept.iterdir()) == ["curve.csv", "result.json"]
    assert [one.name for one in kept.parent.iterdir()] == ["run"]
