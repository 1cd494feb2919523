"""Checkpoints: whole or not there, two kept, the newest that is whole taken; and what a run's folder keeps of them."""

import errno
import hashlib
import json
import os
import shutil
import zlib

import pytest
from checkpoints_support import Events, flip, names
from job_support import a_job

from harness.base.errors import UserError
from harness.config import every
from harness.runs import store
from harness.runs.row import Row
from recipes.contract import job, seals
from recipes.contract.checkpoints import Checkpoints
from recipes.contract.job import Every


@pytest.fixture
def made(tmp_path):
    """Checkpoints after the steps 10, 20, 30, with a file each that says which."""
    checkpoints = Checkpoints(tmp_path / "checkpoints", Events(), steps=10)
    for step in (10, 20, 30):
        assert checkpoints.due(step)
        with checkpoints.writing(step) as folder:
            (folder / "below").mkdir()
            (folder / "below" / "state").write_bytes(b"%d" % step * 1000)
    return checkpoints


def test_the_last_two_are_kept_and_the_newest_is_gone_on_from(made):
    assert names(made) == ["checkpoint-20", "checkpoint-30"]
    assert made.newest().name == "checkpoint-30"
    assert made.event[-1] == ("resumed", 30)


def cut(file):
    file.write_bytes(file.read_bytes()[:-1])


@pytest.mark.parametrize(
    "spoil",
    [
        lambda folder: cut(folder / "below" / "state"),
        lambda folder: flip(folder / "below" / "state"),
        lambda folder: (folder / "below" / "state").unlink(),
        lambda folder: (folder / "checkpoint.json").unlink(),
        lambda folder: cut(folder / "checkpoint.json"),
        lambda folder: (folder / "checkpoint.json").write_text("{}", encoding="utf-8"),
    ],
    ids=["cut short", "a bit flipped", "a file gone", "no seal", "half a seal", "an empty seal"],
)
def test_one_that_is_torn_or_corrupt_is_refused_and_the_one_before_taken(made, spoil):
    spoil(made.folder / "checkpoint-30")
    assert made.newest().name == "checkpoint-20"
    assert made.event[-2:] == [("checkpoint_refused", 30), ("resumed", 20)]
    assert names(made) == ["checkpoint-20"]


@pytest.fixture
def key(tmp_path, monkeypatch):
    """Work with a user's key; calling it turns to another user's, or to that of another machine."""

    def turn(name):
        (tmp_path / name).write_bytes(name.encode() * 8)
        monkeypatch.setenv(seals.KEY, str(tmp_path / name))

    turn("mine")
    return turn


def reseal(folder):
    """Declare a checkpoint whole as one can who has no key."""
    sealed = json.loads((folder / "checkpoint.json").read_text(encoding="utf-8"))
    sealed["files"] = {name: [len(data), hashlib.sha256(data).hexdigest()] for name, data in files_of(folder).items()}
    (folder / "checkpoint.json").write_text(json.dumps(sealed), encoding="utf-8")


def files_of(folder):
    paths = [path for path in folder.rglob("*") if path.is_file() and path.name != "checkpoint.json"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def alter(folder):
    flip(folder / "below" / "state")
    reseal(folder)


def unsigned(folder):
    """Seal it as an earlier release did."""
    files = {name: [len(data), zlib.crc32(data)] for name, data in files_of(folder).items()}
    text = json.dumps({"seconds": 1.0, "files": files})
    (folder / "checkpoint.json").write_text(text, encoding="utf-8")


def of_another_run(folder):
    """Put a checkpoint of another of one's own runs in its place."""
    other = Checkpoints(folder.parents[2] / "another" / "checkpoints", Events(), steps=10)
    with other.writing(30) as written:
        (written / "state").write_bytes(b"x")
    shutil.rmtree(folder)
    shutil.copytree(written, folder)


def of_another_step(folder):
    shutil.rmtree(folder)
    shutil.copytree(folder.with_name("checkpoint-20"), folder)


@pytest.mark.parametrize(
    "change", [alter, unsigned, of_another_run, of_another_step], ids=lambda change: change.__name__
)
def test_one_that_the_run_has_not_written_is_left_out_and_kept(key, made, change):
    change(made.folder / "checkpoint-30")
    assert made.newest().name == "checkpoint-20"
    assert made.event[-2:] == [("checkpoint_refused", 30), ("resumed", 20)]
    assert names(made) == ["checkpoint-20", "foreign-30"]


def test_where_all_are_from_elsewhere_training_starts_anew_and_with_their_key_it_goes_on(key, made):
    key("another")
    assert made.newest() is None
    assert made.event[-2:] == [("checkpoint_refused", 30), ("checkpoint_refused", 20)]
    assert names(made) == ["foreign-20", "foreign-30"]
    with made.writing(10) as folder:
        (folder / "state").write_bytes(b"new")
    assert made.newest() == folder, "those that are kept aside displace none"
    key("mine")
    assert made.newest().name == "checkpoint-30"


def add(folder, name="optimizer.pt"):
    (folder / name).write_bytes(b"added")


def replace_by_a_link(folder):
    (folder / "below" / "state").rename(folder.parents[1] / "state")
    (folder / "below" / "state").symlink_to(folder.parents[1] / "state")


def link_a_folder(folder):
    (folder / "more").symlink_to(folder / "below")


@pytest.mark.parametrize("change", [add, replace_by_a_link, link_a_folder], ids=lambda change: change.__name__)
def test_what_was_put_into_one_is_seen(key, made, change):
    change(made.folder / "checkpoint-30")
    assert made.newest().name == "checkpoint-20"
    assert names(made) == ["checkpoint-20"]


def test_names_that_no_run_gives_are_no_checkpoints(made):
    for name in ("checkpoint-x", "checkpoint--1", "checkpoint-31.part"):
        (made.folder / name).mkdir()
    with made.writing(40):
        pass
    assert made.newest().name == "checkpoint-40"


def test_none_is_whole(made):
    for folder in made.folder.iterdir():
        flip(folder / "below" / "state")
    assert made.newest() is None
    assert names(made) == []


def test_one_that_breaks_off_leaves_those_before(made):
    with pytest.raises(RuntimeError), made.writing(40) as folder:
        (folder / "state").write_bytes(b"half")
        raise RuntimeError("the library's own")
    assert names(made) == ["checkpoint-20", "checkpoint-30"]


def test_a_full_disk_is_called_so_whatever_the_library_calls_it(made, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(10**9, 10**9, 0))
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)) as caught, made.writing(40):
        raise RuntimeError("unexpected pos 1 vs 2")
    assert caught.value.errno == errno.ENOSPC


def test_when_one_is_due(tmp_path, monkeypatch):
    never = Checkpoints(tmp_path, Events())
    assert not any(never.due(step) for step in range(1, 100))
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    timed = Checkpoints(tmp_path, Events(), seconds=60)
    now[0] += 59
    assert not timed.due(1)
    now[0] += 1
    assert timed.due(2)
    with timed.writing(2):
        now[0] += 5
    assert not timed.due(3), "the time it took does not count"


def test_the_seconds_of_training_before_count(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    seen = []
    for _ in range(2):
        checkpoints = Checkpoints(tmp_path, lambda kind, **values: seen.append((kind, values.get("seconds"))), steps=1)
        checkpoints.newest()
        now[0] += 10
        with checkpoints.writing(1):
            pass
        now[0] += 1000  # until it is started again
    checkpoints.newest()
    assert [entry for entry in seen if entry[0] == "resumed"] == [("resumed", 10), ("resumed", 20)]


def test_what_it_takes_to_see_whether_a_target_is_reached_is_no_training(tmp_path, monkeypatch):
    now = [100.0]
    for clock in ("time.monotonic", "time.perf_counter"):
        monkeypatch.setattr(clock, lambda: now[0])
    one = a_job(tmp_path, checkpoint=job.Every(steps=1), measure=job.Measure(target=0.5))
    monkeypatch.setattr(job.Job, "split", lambda *_: None)
    monkeypatch.setattr(job, "predict_split", lambda *_: now.__setitem__(0, now[0] + 7) or [[0.0]])
    one.checkpoints.newest()
    now[0] += 10
    one.epoch_ended(lambda: None)
    with one.checkpoints.writing(1) as folder:
        pass
    assert json.loads((folder / "checkpoint.json").read_text(encoding="utf-8"))["seconds"] == 10


@pytest.mark.parametrize(
    ("value", "meant"),
    [("100", Every(steps=100)), (5, Every(steps=5)), ("30s", Every(seconds=30)), ("10min", Every(seconds=600)),
     ("1.5 h", Every(seconds=5400)), (None, Every())],
)  # fmt: skip
def test_checkpoint_every(value, meant):
    assert every(value) == meant


@pytest.mark.parametrize("value", ["0", "-1", "often", "10 m", True, "1.5"])
def test_what_is_no_interval_is_told(value):
    with pytest.raises(UserError, match="checkpoint.every="):
        every(value)


def attempted(folder, status):
    """Leave an attempt in the folder of a run, with a checkpoint that is whole and one that is not."""
    work = store.working(folder)
    for name, files in (("checkpoint-1", ["state", "checkpoint.json"]), ("checkpoint-2", ["state"])):
        (work / "checkpoints" / name).mkdir(parents=True)
        for file in files:
            (work / "checkpoints" / name / file).write_text("{}", encoding="utf-8")
    for file in ("events.jsonl", "log.txt", "job.json"):
        (work / file).write_text("", encoding="utf-8")
    return store.settle(folder, Row({"status": status})) if status else work


@pytest.mark.parametrize("status", [None, "interrupted", "failed"])
def test_the_next_attempt_has_the_checkpoints_and_what_was_reported_and_nothing_else(tmp_path, status):
    attempted(tmp_path / "run", status)
    work = store.working(tmp_path / "run")
    assert sorted(path.name for path in work.iterdir()) == ["checkpoints", "events.jsonl", "log.txt"]
    kept = sorted(path.name for path in (work / "checkpoints").iterdir())
    assert kept == (["checkpoint-1"] if status else ["checkpoint-1", "checkpoint-2"])


def test_a_finished_run_has_none_and_another_is_done_anew(tmp_path):
    folder = attempted(tmp_path / "run", "finished")
    assert not (folder / "checkpoints").exists()
    assert list(store.working(tmp_path / "run").iterdir()) == []


def test_anew_means_without_them(tmp_path):
    attempted(tmp_path / "run", None)
    assert list(store.working(tmp_path / "run", anew=True).iterdir()) == []
