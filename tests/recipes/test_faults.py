"""Bad luck: kills, Ctrl-C, limits, full disks. Nothing is lost, no process is left, and the row says what happened."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support import ROOT, THOROUGH, Runs, gone, killed_in, others, workers

from harness.base import environments, home
from harness.runs import events

REALLY = pytest.mark.usefixtures("real_processes")
PHASES = ["import", "build_data", "save", "evaluate_valid", "evaluate_test", "reload_import", "inference"]


def end(process: subprocess.Popen[str], seconds: float = 60) -> str:
    said, _ = process.communicate(timeout=seconds)
    assert "Traceback" not in said, said
    return said


@pytest.mark.parametrize("recipe", others(["tfidf", "hf_trainer"], "tfidf"))
def test_killed_in_any_phase_and_started_again(runs, recipe, tmp_path):
    """In those that depend on the library, and with the results compared, for every recipe: test_runs.py."""
    for phase in PHASES:
        killed_in(phase, runs, [f"recipe={recipe}"], tmp_path)
    runs.run(f"recipe={recipe}")
    assert runs.row()["status"] == "finished"


def test_a_killed_worker_is_a_row_that_says_so(runs, tmp_path):
    words = ["recipe=tfidf", "data.train_size=1000"]
    process = runs.start(*words)
    for _ in range(2):  # it is tried again once
        worker = runs.wait_for("train", process)
        worker.kill()
        worker.wait()
    said = end(process)
    assert process.returncode == 1
    row = runs.row()
    assert (row["status"], row["attempts"]) == ("failed", 2)
    assert "in the phase train" in said
    assert "SIGKILL" in row["reason"]
    assert "in the phase train" in row["reason"]
    assert row["reason"] in said
    assert Path(row["log"]).exists()
    assert gone(tmp_path)
    runs.run(*words)
    assert (runs.row()["status"], runs.row()["attempts"]) == ("finished", 1)


@REALLY
def test_out_of_memory_half_the_batch_twice_as_often_does_the_same_steps(runs, tmp_path):
    """The limit stands for the memory of a machine on which 64 long texts do not fit, and 32 do."""
    with open(tmp_path / "long.csv", "w", encoding="utf-8") as handle:
        handle.write("text,label\n")
        for number in range(80):
            handle.write(f"{'nurse on a ward ' * 40}{number},{'ab'[number % 2]}\n")
    words = ["recipe=torch", "precision=fp32", "data=csv", f"data.train={tmp_path}/long.csv", "data.text=text"]
    words += ["data.label=label", "data.train_size=64", "data.valid_size=8", "data.test_size=8"]
    said = runs.run(*words, "train.batch_size=64", "limits.memory_gb=2.8", "on_oom=halve_batch")
    assert "resident is more than limits.memory_gb=2.8; trying again with half the batch" in said
    row = runs.row()
    assert (row["attempts"], row["train.batch_size"], row["train.accumulate"], row["train.steps"]) == (2, 32, 2, 1)


PATIENT = f"""
import runpy, sys
sys.path.insert(0, {str(ROOT)!r})
from harness.runs import launch
launch.GRACE = 600.0  # seconds that it is waited for a worker which was asked to end
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.parametrize(("number", "recipe"), [(signal.SIGINT, "hf_trainer"), (signal.SIGTERM, "tfidf")])
def test_interrupted_once(runs, tmp_path, number, recipe):
    process = runs.start(f"recipe={recipe}", "data.train_size=1000")
    runs.wait_for("train", process)
    process.send_signal(number)
    end(process)
    assert process.returncode == 130
    assert runs.row()["status"] == "interrupted"
    ended = [
        event["name"] for event in events.read(runs.folders()[0] / "events.jsonl") if event["event"] == "phase_end"
    ]
    assert "train" not in ended, "it went on training"
    assert workers(tmp_path) == []


def test_interrupted_twice_ends_at_once_a_worker_that_does_not_react(runs, tmp_path):
    process = runs.start("recipe=tfidf", "data.train_size=1000", script=["-c", PATIENT])
    runs.wait_for("train", process).send_signal(signal.SIGSTOP)
    process.send_signal(signal.SIGINT)
    time.sleep(1)
    assert process.poll() is None
    assert workers(tmp_path)
    process.send_signal(signal.SIGINT)
    end(process)
    assert process.returncode == 130
    assert runs.row()["status"] == "interrupted"
    assert workers(tmp_path) == []


@pytest.mark.parametrize(
    ("limit", "status"), [("limits.minutes=0.05", "timed_out"), ("limits.memory_gb=0.2", "out_of_memory")]
)
@REALLY
def test_a_limit_ends_the_run_cleanly(runs, tmp_path, limit, status):
    runs.run("recipe=tfidf", "data.train_size=5000", limit, code=1)
    row = runs.row()
    assert row["status"] == status
    assert limit in row["reason"]
    assert workers(tmp_path) == []


def test_of_two_started_at_once_one_works_and_the_other_waits(runs):
    first, second = runs.start("recipe=tfidf"), runs.start("recipe=tfidf")
    said = sorted([end(first), end(second)], key=len)
    assert first.returncode == second.returncode == 0
    assert "waiting: another process is at this run" in said[0]
    assert "finished already" in said[0]
    assert "training …" in said[1]
    assert "training …" not in said[0]
    assert runs.row()["status"] == "finished"


@REALLY
def test_a_repetition_that_fails_keeps_the_finished_result(runs):
    runs.run("recipe=tfidf")
    before = runs.row()
    said = runs.run("recipe=tfidf", "rerun=true", "limits.memory_gb=0.01", code=1)
    assert "out_of_memory" in said
    assert runs.row() == before


@pytest.fixture
def small_disk(tmp_path):
    """Mount a small file system in memory; its size in MB is to be given."""
    mounted = []

    def mount(megabytes: int, options: str = "rw") -> Path:
        place = tmp_path / f"disk{len(mounted)}"
        place.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,{options}", "tmpfs", str(place)]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("mounting a file system needs root")
        mounted.append(place)
        return place

    yield mount
    for place in mounted:
        subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.parametrize("megabytes", [1, 60])
def test_a_full_disk_is_a_clear_row(small_disk, megabytes):
    disk = small_disk(megabytes)
    runs = Runs(disk / "outputs")
    if megabytes == 1:
        (disk / "full").write_bytes(b"x" * 940_000)
    said = runs.run("recipe=hf_trainer", code=1)
    assert "no space left on the device" in said.lower()
    if megabytes == 60:
        assert runs.row()["status"] == "failed"
        assert "no space left on the device" in runs.row()["reason"].lower()


def test_a_disk_that_fills_during_a_checkpoint_costs_neither_those_before_nor_other_runs(small_disk):
    """Two checkpoints, of about 180 MB each, and the third as it is written are more than the disk has."""
    disk = small_disk(450)
    runs, words = (
        Runs(disk / "outputs"),
        ["recipe=torch", "precision=fp32", "train.batch_size=16", "checkpoint.every=4"],
    )
    runs.run("recipe=tfidf")
    said = runs.run(*words, code=1)
    assert "reason    no space left on the device" in said
    rows = {row["recipe"]: row for row in map(read_row, runs.folders())}
    assert (rows["torch"]["status"], rows["tfidf"]["status"]) == ("failed", "finished")
    (seals,) = {folder.name: sorted(folder.glob("checkpoints/*/checkpoint.json")) for folder in runs.folders()
                if folder.name.startswith("torch")}.values()  # fmt: skip
    assert [seal.parent.name for seal in seals] == ["checkpoint-4", "checkpoint-8"]
    subprocess.run(["mount", "-o", "remount,size=1000m", str(disk)], check=True)
    said = runs.run(*words)
    assert "going on from the checkpoint of step 8" in said


def read_row(folder: Path) -> dict:
    return json.loads((folder / "result.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(("recipe", "kills"), [("tfidf", 2), pytest.param("torch,tfidf", 8, marks=THOROUGH)])
def test_kills_at_random_lose_nothing(tmp_path, recipe, kills):
    """Short versions of what `python scripts/faults.py` does with all recipes."""
    command = [sys.executable, "scripts/faults.py", f"recipe={recipe}", "--kills", str(kills), "--place", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == f"| all |  |  | {kills} | {kills} | 0 |"


def test_a_full_disk_under_the_caches_is_told(small_disk, runs):
    disk = linked_home(small_disk(1))
    said = runs.run("recipe=hf_trainer", "data.train_size=null", code=1, FINETUNE_RECIPES_HOME=str(disk))
    assert "no space left on the device" in said


def test_no_write_permission_is_told(small_disk):
    runs = Runs(small_disk(1, "ro") / "outputs")
    said = runs.run("recipe=tfidf", code=1)
    assert "no permission" in said
    assert "outputs=FOLDER" in said


def linked_home(place: Path) -> Path:
    """Make a home for caches that has nothing but the environment these tests run in, the packages, and uv."""
    (place / "environments").mkdir(parents=True)
    running = environments.folder_of("tests")
    (place / "environments" / running.name).symlink_to(running)
    for name in ("packages", "uv"):  # uv is there only where we had to install it
        (place / name).symlink_to(home.home() / name)
    return place


def test_an_environment_that_cannot_be_built_is_a_row_with_the_tool_s_last_lines(runs, tmp_path):
    said = runs.run(
        "recipe=tfidf",
        code=1,
        FINETUNE_RECIPES_HOME=str(linked_home(tmp_path / "home")),
        PIP_CONFIG_FILE="/dev/null",
        PIP_INDEX_URL="http://127.0.0.1:9/simple",
        UV_CACHE_DIR=str(tmp_path / "uv-cache"),
        UV_HTTP_RETRIES="0",
        PIP_FIND_LINKS="",
    )
    row = runs.row()
    assert row["status"] == "failed"
    assert "`uv pip install` failed" in row["reason"]
    assert "127.0.0.1:9" in said
    assert "127.0.0.1:9" in Path(row["log"]).read_text(encoding="utf-8")


def test_a_bare_start_without_a_registry_is_told(tmp_path):
    bare = {**os.environ, "FINETUNE_RECIPES_HOME": str(tmp_path), "PIP_CONFIG_FILE": "/dev/null", "PIP_FIND_LINKS": ""}
    bare |= {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "UV_CACHE_DIR": str(tmp_path / "uv"), "PIP_RETRIES": "0"}
    bare |= {"UV_HTTP_RETRIES": "0"}
    done = subprocess.run(
        [os.path.realpath("/proc/self/exe"), str(ROOT / "train.py")],
        env=bare,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(("full log: ", "  "))
    assert "error: " in done.stderr
    assert "Traceback" not in done.stderr
