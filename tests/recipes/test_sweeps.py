"""Sweeps through the command line with real libraries, on each engine: what is missing is done, once, by whomever."""

import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest
from support import ROOT, Runs, gone

from harness.base import environments
from harness.config import CONF, checked
from harness.machine import host
from harness.runs import events, prepare

TFIDF = ["-m", "recipe=tfidf", "data=onet"]
BAD = "recipe.word_ngrams=[999,999]"  # no text has as many words: a real failure
GOOD = ("[1,1]", "[1,2]", "[1,3]")


@pytest.fixture(autouse=True)
def cores_of_our_own(tmp_path, monkeypatch):
    """Other tests run beside, and so may their sweeps: ours do not wait for their cores."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))


def statuses(said: str) -> list[str]:
    return [" ".join(line[: 2 if line[0] == "not" else 1]) for line in table(said).values()]


def table(said: str) -> dict[str, list[str]]:
    """Return the table at the end: the words of a run that no other has -> what stands beside."""
    lines = said[said.rindex("\nrun ") :].split("\n\n")[0].strip().splitlines()[1:]
    return {words[0].strip(): words[1].split() for words in (line.split("  ", 1) for line in lines)}


def rows(runs: Runs) -> list[dict]:
    return [json.loads((folder / "result.json").read_text(encoding="utf-8")) for folder in runs.folders()]


def sweep_folder(runs: Runs) -> Path:
    (record,) = runs.outputs.glob(".sweeps/*/sweep.json")
    return record.parent


def spans(runs: Runs) -> list[tuple[float, float]]:
    """Return when each run's first and last event were."""
    found = []
    for folder in runs.folders():
        times = [event["time"] for event in events.read(folder / "events.jsonl")]
        found.append((times[0], times[-1]))
    return sorted(found)


def test_a_failed_run_stops_no_other_and_a_sweep_started_again_does_only_what_is_missing(runs):
    said = runs.run(*TFIDF, f"{BAD},{GOOD[0]}", "sweep.fail_fast=true", code=1)
    assert statuses(said) == ["failed", "not started"]
    assert len(runs.folders()) == 1
    said = runs.run(*TFIDF, f"{BAD},{','.join(GOOD[:2])}", code=1)
    assert statuses(said) == ["failed", "finished", "finished"]
    shown, before = table(said), {folder: changed(folder) for folder in runs.folders()}
    finished = {f"recipe.word_ngrams=[{numbers}]": [f"{row['test.macro_f1']:.3f}", f"{row['worker.seconds']:.1f}"]
                for row in rows(runs) if row["status"] == "finished"
                for numbers in re.findall(r"recipe.word_ngrams=\[(\d,\d)\]", row["command"])}  # fmt: skip
    ended = {words: line[1:] for words, line in shown.items() if line[0] == "finished"}
    assert {words: line[:2] for words, line in ended.items()} == finished
    assert all(" ".join(line[2:]) in ("", "noisy: no timing") for line in ended.values())
    assert "empty vocabulary" in " ".join(shown[BAD])
    again = table(runs.run(*TFIDF, f"{BAD},{','.join(GOOD[:2])}", code=1))
    (redone,) = [folder for folder, time in before.items() if changed(folder) != time]
    assert json.loads((redone / "result.json").read_text(encoding="utf-8"))["status"] == "failed"
    said = " ".join(again[f"recipe.word_ngrams={GOOD[0]}"]).removesuffix(", noisy: no timing")
    assert said.endswith("from an earlier start")
    planned = runs.run(*TFIDF, f"recipe.word_ngrams={','.join(GOOD)}", "plan=true")
    assert "2 runs" in planned.splitlines()[4], "two finished runs are like the one that is to be done"
    assert "to do: 1, about" in planned
    assert len(runs.folders()) == 3


def changed(folder: Path) -> int:
    return (folder / "result.json").stat().st_mtime_ns


def test_what_runs_need_is_prepared_and_checked_once(runs, monkeypatch):
    from hydra import compose, initialize_config_dir

    looked = []
    for module, name in ((prepare.models, "find"), (prepare.data, "prepare"), (prepare.data, "tokenise")):
        known = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *a, known=known, name=name: (looked.append(name), known(*a))[1])
    prepare.found.cache_clear()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        identities = [
            prepare.prepare(checked(compose("config", ["data=onet", f"seed={seed}"]))).identity for seed in range(4)
        ]
    assert looked == ["prepare", "find", "tokenise"]
    assert len({identity.directory(runs.outputs) for identity in identities}) == 4


def test_joblib_does_two_at_once_each_on_its_half_of_the_machine_and_tells_of_a_failure_at_once(runs):
    words = [*TFIDF, f"{BAD},{','.join(GOOD[:2])}", "threads=null", "hydra/launcher=joblib"]
    process = runs.start(*words)
    lines = []
    for line in process.stdout:
        lines.append((line, len(runs.folders())))
    assert process.wait() == 1
    said = "".join(line for line, _ in lines)
    assert statuses(said) == ["failed", "finished", "finished"], said
    told = next(ended for line, ended in lines if line.startswith(f"{BAD}: failed: ValueError: empty vocabulary"))
    assert told < 3
    assert {row["threads"] for row in rows(runs)} == {max(1, host.processors() // 2)}
    if host.processors() > 1:
        (_, end), (start, _) = spans(runs)[:2]
        assert start < end, "the first two were not done at once"
    assert "training …" in (sweep_folder(runs) / "log.txt").read_text(encoding="utf-8")
    assert "training …" not in said
    again = runs.run(*words, f"{BAD},{','.join(GOOD)}", "sweep.fail_fast=true", "hydra.launcher.n_jobs=1", code=1)
    assert statuses(again) == ["failed", "finished", "finished", "not started"]


def test_a_sweep_that_is_killed_leaves_no_process_is_seen_as_it_is_and_goes_on(runs, tmp_path):
    words = [*TFIDF, "seed=0,1,2", "hydra/launcher=joblib"]
    process = runs.start(*words)
    worker = runs.wait_for("train", process)
    assert worker.environ()["GOMP_SPINCOUNT"] == "10000", "threads that wait burn the time of others"
    status = [sys.executable, str(ROOT / "scripts" / "status.py"), "--outputs", str(runs.outputs)]
    shown = subprocess.run(status, capture_output=True, text=True, check=True).stdout
    assert " running" in shown
    assert " waiting" in shown
    process.kill()
    assert gone(tmp_path), "a worker outlived the sweep"
    time.sleep(0.2)
    shown = subprocess.run(status, capture_output=True, text=True, check=True).stdout
    assert " broken off" in shown
    assert " running" not in shown
    process = runs.start(*words)
    runs.wait_for("train", process).parent().kill()  # joblib's process: with it, joblib gives up the other too
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0, said
    assert "the engine failed" in said
    assert statuses(said) == ["finished"] * 3
    assert "3 runs: 3 finished" in subprocess.run(status, capture_output=True, text=True, check=True).stdout


def test_two_engines_that_pick_the_same_runs_do_each_once(runs):
    engines = ["hydra/launcher=joblib"], ["hydra/launcher=submitit_local", "hydra.launcher.cpus_per_task=1"]
    processes = [runs.start(*TFIDF, "seed=0,1", *engine) for engine in engines]
    for process in processes:
        said, _ = process.communicate(timeout=300)
        assert process.returncode == 0, said
        assert statuses(said) == ["finished"] * 2
        assert "seed=0: finished" in said
    assert (sweep_folder(runs) / "log.txt").read_text(encoding="utf-8").count("training …") == 2
    assert len(list(runs.outputs.glob(".sweeps/submitit/*/*/*_result.pkl"))) == 2


@pytest.fixture
def ray_cluster(monkeypatch):
    """Start a Ray cluster with a resource that no other has, and a token that it asks for; give its address."""
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(16))
    ray = environments.ensure("core_ray").python.parent / "ray"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    place = tempfile.mkdtemp(prefix="ray-", dir="/tmp")  # short: sockets lie in it
    command = [ray, "start", "--head", "--block", f"--port={port}", "--num-cpus=2", "--include-dashboard=false"]
    command += ["--resources", '{"ours": 2}', f"--temp-dir={place}", "--disable-usage-stats"]
    with open(f"{place}/said", "wb") as said:
        cluster = subprocess.Popen(command, stdout=said, stderr=said, start_new_session=True)
    try:
        end = time.monotonic() + 60
        while "Ray runtime started" not in Path(f"{place}/said").read_text(encoding="utf-8"):
            assert time.monotonic() < end, Path(f"{place}/said").read_text(encoding="utf-8")
            time.sleep(0.2)
        yield f"127.0.0.1:{port}"
    finally:
        children = psutil.Process(cluster.pid).children(recursive=True)
        cluster.terminate()
        psutil.wait_procs(children, 15)
        os.killpg(cluster.pid, signal.SIGKILL)
        cluster.wait()
        shutil.rmtree(place, ignore_errors=True)


def test_on_a_real_ray_cluster(runs, ray_cluster):
    there = ["hydra/launcher=ray", f"hydra.launcher.ray.init.address={ray_cluster}"]
    there += ["hydra.launcher.ray.remote.num_cpus=1", "+hydra.launcher.ray.remote.resources={ours:1}"]
    said = runs.run(*TFIDF, f"{BAD},{','.join(GOOD[:2])}", *there, code=1)
    assert statuses(said) == ["failed", "finished", "finished"], said
    assert f"{BAD}: failed: ValueError: empty vocabulary" in said
    assert {row["threads"] for row in rows(runs)} == {1}
    one_by_one = [*there, "hydra.launcher.ray.remote.num_cpus=2", "sweep.fail_fast=true"]
    said = runs.run(*TFIDF, f"{BAD},{','.join(GOOD)}", *one_by_one, code=1)
    assert statuses(said) == ["failed", "finished", "finished", "not started"]


SLURM = {  # what the real ones do, as far as a sweep sees it: the jobs of an array run, on this machine
    "sbatch": '''cp "$1" "$KEPT"
export FINETUNE_RECIPES_PYTHON="$OTHER"  # with env=current, there are other runs there than here
export SLURM_ARRAY_JOB_ID=7 SLURM_NTASKS=1 SLURM_JOB_NUM_NODES=1 SLURM_NODEID=0 SLURM_PROCID=0 SLURM_LOCALID=0
for task in 0 1; do
  (sleep 1; SLURM_JOB_ID=7_$task SLURM_ARRAY_TASK_ID=$task bash "$1") > /dev/null 2>&1 < /dev/null &
done
echo "Submitted batch job 7"''',
    "srun": '''while [[ "$1" == --* ]]; do [[ "$1" == --unbuffered ]] || shift; shift; done; exec "$@"''',
    "sacct": "echo 'JobID|State|NodeList'; echo '7_0|RUNNING|here'; echo '7_1|RUNNING|here'",
}


def test_slurm_is_given_a_batch_file_with_our_settings(runs, tmp_path):
    tools, kept = tmp_path / "tools", tmp_path / "kept.sh"
    tools.mkdir()
    for name, text in SLURM.items():
        (tools / name).write_text(f"#!/usr/bin/env bash\n{text}\n", encoding="utf-8")
        (tools / name).chmod(0o755)
    there = ["hydra/launcher=submitit_slurm", "hydra.launcher.partition=gpu", "hydra.launcher.gpus_per_node=1"]
    path = f"{tools}:{os.environ['PATH']}"
    other = str(environments.ensure("tfidf").python)
    said = runs.run(*TFIDF, f"{BAD},{GOOD[0]}", "env=current", *there, code=1, PATH=path, KEPT=str(kept), OTHER=other)
    assert statuses(said) == ["failed", "finished"], said
    assert len(list(sweep_folder(runs).glob("told/*.json"))) == 2
    text = kept.read_text(encoding="utf-8")
    for line in ("partition=gpu", "gpus-per-node=1", "cpus-per-task=4", "array=0-1%2", "time=240", "mem=16GB"):
        assert f"#SBATCH --{line}\n" in text
    assert sys.prefix in text
