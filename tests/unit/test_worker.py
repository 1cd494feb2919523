"""The contract's own code: rows in any order, phases, events, the end with the parent."""

import json
import os
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
from job_support import a_job
from support import ROOT

from recipes.contract import frameworks
from recipes.contract.job import Job, Measure
from recipes.contract.ragged import Ragged
from recipes.contract.split import Split
from recipes.worker import main as worker


@pytest.fixture
def split(tmp_path):
    """Fifty rows of 1 to 9 tokens; the label is the sum of the ids modulo 3."""
    generator = np.random.default_rng(0)
    lengths = generator.integers(1, 10, 50)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    ids = generator.integers(0, 100, offsets[-1]).astype(np.int32)
    texts = [f"é{number}".encode() for number in range(50)]
    for name, values, ends in (("token_ids", ids, offsets), ("texts", np.frombuffer(b"".join(texts), np.uint8), None)):
        values.tofile(tmp_path / f"{name}.values.bin")
        ends = np.concatenate([[0], np.cumsum([len(t) for t in texts])]) if ends is None else ends
        ends.astype(np.int64).tofile(tmp_path / f"{name}.offsets.bin")
    np.array([int(ids[s:e].sum()) % 3 for s, e in zip(offsets, offsets[1:], strict=False)], np.int32).tofile(
        tmp_path / "labels.bin"
    )
    np.arange(1, 51, dtype=np.int64).tofile(tmp_path / "row_ids.bin")
    return Split("test", tmp_path, tmp_path)


def test_a_split_gives_back_its_rows(split):
    assert len(split) == 50
    assert split.text(7) == "é7"
    assert split.batch([3, 1]).texts == ["é3", "é1"]
    assert [len(ids) for ids in split.batch([3, 1]).token_ids] == [split.lengths[3], split.lengths[1]]


def test_an_empty_file_is_an_empty_array(tmp_path):
    (tmp_path / "x.values.bin").touch()
    np.zeros(3, np.int64).tofile(tmp_path / "x.offsets.bin")
    ragged = Ragged.open(tmp_path, "x", "int32")
    assert len(ragged) == 2
    assert ragged[1].tolist() == []


def test_predictions_come_in_the_order_of_the_rows_whatever_the_batches(split, monkeypatch):
    seen = []

    def predict(batch):
        seen.append([len(ids) for ids in batch.token_ids])
        return np.array([np.eye(3)[ids.sum() % 3] for ids in batch.token_ids], np.float32)

    monkeypatch.setattr("recipes.contract.split.PREDICT_BATCH", 7)
    logits = worker.predict_split(predict, split)
    np.testing.assert_array_equal(logits.argmax(1), split.labels)
    assert sum(map(len, seen)) == 50
    assert sum(seen, []) == sorted(split.lengths)  # like lengths go together


@pytest.fixture
def job(tmp_path):
    a_job(tmp_path).write()
    return Job.read(tmp_path / "job.json")


def events(job):
    return [json.loads(line) for line in (job.folder / "events.jsonl").read_text(encoding="utf-8").splitlines()]


def test_a_phase_is_timed(job):
    with job.phase("train"):
        job.step(1, 2, loss=0.5)
    start, step, end = events(job)
    assert (start["event"], start["name"]) == ("phase_start", "train")
    assert (step["step"], step["steps"], step["loss"]) == (1, 2, 0.5)
    assert end["name"] == "train"
    assert 0 < end["seconds"] < 1
    assert end["cpu_seconds"] >= 0


def test_a_phase_and_an_epoch_end_when_the_device_has_done_what_it_was_given(job, monkeypatch, split):
    """A framework that returns at once, and works on."""
    done = []

    class Device(frameworks.Framework):
        def wait(self):
            time.sleep(0.05)
            done.append(len(events(job)))

    monkeypatch.setattr(frameworks, "used", lambda: [Device()])
    with job.phase("train"):
        pass
    assert done == [1], "waited for between the start and the end of the phase"
    assert events(job)[-1]["seconds"] >= 0.05
    job = replace(job, measure=Measure(target=0.5))
    monkeypatch.setattr(Job, "split", lambda self, name: split)
    job.epoch_ended(lambda: done.append("predicted") or (lambda batch: np.zeros((len(batch.texts), 3), np.float32)))
    assert done == [1, 2, "predicted"], "what is left of the epoch is not among the seconds of predicting"


def test_a_phase_that_fails_does_not_end(job):
    with pytest.raises(ZeroDivisionError), job.phase("train"):
        raise ZeroDivisionError
    assert [event["event"] for event in events(job)] == ["phase_start"]


def test_an_exception_is_an_event_and_a_traceback_in_the_log(job):
    command = [sys.executable, "-m", "recipes.worker", str(job.folder / "job.json"), "finetune"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, cwd=ROOT, start_new_session=True, **pipes)
    assert process.wait(60) == 1
    assert "Traceback" in process.stderr.read()
    error = events(job)[-1]
    assert (error["event"], error["type"]) == ("error", "ModuleNotFoundError")
    assert "recipes.nothing" in error["message"]
    assert error["out_of_memory"] is False


def test_the_kernel_s_peak_of_memory_has_what_was_held_for_a_moment_and_nothing_of_who_started_the_process():
    ours = np.ones(20_000_000)  # 160 MB, which the process that is started inherits in ru_maxrss
    code = "import numpy as np; from recipes.worker.main import peak_rss; print(peak_rss()); "
    code += "len(np.ones(8_000_000)); print(peak_rss())"
    said = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    before, after = map(int, said.split())
    assert before < 120e6 < ours.nbytes
    assert 50e6 < after - before < 100e6


def test_the_worker_ends_when_its_standard_input_does(job):
    code = (
        "import threading, time, subprocess, sys; from recipes.worker.main import die_with_parent\n"
        "threading.Thread(target=die_with_parent, daemon=True).start()\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'], stdin=subprocess.DEVNULL)\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )
    grandchild = int(process.stdout.readline())
    process.stdin.close()
    assert process.wait(10) == -9
    with pytest.raises(ProcessLookupError):
        for _ in range(100):
            os.kill(grandchild, 0)
            subprocess.run(["sleep", "0.05"], check=True)


def test_a_short_training_reports_each_step_and_a_long_one_waits_for_the_device_no_more_than_it_did(tmp_path):
    job, controlled = a_job(tmp_path), a_job(tmp_path, protocol="controlled")
    for steps in (1, 2, 7, 19, 20, 39, 40, 125, 199, 200, 252, 10_000):
        told = [step for step in range(1, steps + 1) if job.reports(step, steps)]
        assert {1, steps} <= set(told)
        assert len(told) >= min(20, steps)
        assert all(controlled.reports(step, steps) for step in range(1, steps + 1))
        if steps < 40:
            assert len(told) == steps
        if steps >= 200:
            assert told == sorted({1, *range(10, steps + 1, 10), steps})


def test_how_many_rows_are_predicted_is_told_at_most_once_a_second(split, tmp_path, monkeypatch):
    job, now, told = a_job(tmp_path), [10.0], []
    monkeypatch.setattr("recipes.contract.job.time.monotonic", lambda: now[0])
    monkeypatch.setattr("recipes.contract.split.PREDICT_BATCH", 7)
    monkeypatch.setattr(Job, "event", lambda self, kind, **values: told.append((kind, values["done"], values["of"])))

    def predict(batch):
        now[0] += 0.4
        return np.zeros((len(batch.texts), 3), np.float32)

    worker.predict_split(predict, split, job.predicted)
    assert told == [("rows", 7, 50), ("rows", 28, 50), ("rows", 49, 50)]
