"""Sweeps, as far as no library is needed: the plan, the record, what is seen of runs, estimates, a run's share."""

import json
import logging
import os
import pty
import select
import shutil
import subprocess
import sys
import time
import types
from dataclasses import fields, replace

import pytest
import yaml
from hydra import compose, initialize_config_dir
from hydra_plugins.hydra_joblib_launcher.config import JobLibLauncherConf
from hydra_plugins.hydra_submitit_launcher.config import LocalQueueConf, SlurmQueueConf
from support import ROOT

from harness import config
from harness.base import bootstrap
from harness.base.errors import UserError
from harness.figures.metrics import METRICS
from harness.machine import host
from harness.results.reading import Result
from harness.runs import store
from harness.runs.row import Row
from harness.sweeps import engine, estimates, look, tables
from harness.sweeps.record import Record, Run, at_work, tell

TFIDF = ["recipe=tfidf", "data=onet"]
LIKE = {
    "recipe": "torch", "model": "minilm", "precision": "fp32", "environment": "hf_trainer", "data": "onet",
    "threads": 2, "placement": "cpu", "protocol": "native", "train.rows": 1000, "train.epochs": 2,
}  # fmt: skip


def record(*folders):
    return Record(["-m"], [Run(["recipe=torch", f"seed={n}"], folder, LIKE) for n, folder in enumerate(folders)])


def test_a_plan_names_the_runs_and_runs_nothing(cli, tmp_path):
    done = cli("-m", *TFIDF, "seed=0,1", "recipe.C=1,2", "plan=true")
    assert done.returncode == 0, done.stderr
    for words in ("seed=0 recipe.C=1", "seed=0 recipe.C=2", "seed=1 recipe.C=1", "seed=1 recipe.C=2"):
        assert words in done.stdout
    assert done.stdout.count("no finished run is like it") == 4
    assert "4 of unknown length" in done.stdout
    assert not (tmp_path / "outputs").exists()
    assert "\x1b" not in done.stdout


def test_a_plan_of_one_run(cli, tmp_path):
    done = cli(*TFIDF, "plan=true")
    assert "recipe=tfidf" in done.stdout
    assert "to do: 1" in done.stdout
    assert not (tmp_path / "outputs").exists()


def test_a_run_that_cannot_be_started_is_told_and_is_the_exit_code(cli):
    done = cli("-m", *TFIDF, "seed=-1,0", "plan=true")
    assert done.returncode == 2
    assert "seed=-1: give a whole number from 0" in done.stdout
    assert "to do: 1" in done.stdout


def test_a_placement_that_this_machine_has_not_is_refused_but_for_runs_on_others(cli):
    words = ["-m", "recipe=torch", "data=onet", "placement=multi_gpu", "placement.processes=64", "plan=true"]
    assert cli(*words).returncode == 2
    done = cli(*words, "hydra/launcher=submitit_slurm")
    assert done.returncode == 0, done.stderr
    assert "to do: 1" in done.stdout


def test_a_run_refused_on_the_machine_it_was_sent_to_says_why_and_may_be_done_another_time(tmp_path):
    sent = record("onet/a", "onet/b")
    folder = sent.write(tmp_path)
    with initialize_config_dir(str(config.CONF), version_base="1.3"):
        values = config.checked(compose("config", [*TFIDF, "placement=gpu"]))
    tell(values, sent.runs[0].words, folder)
    seen = look.look(folder)
    assert [one.status for one in seen] == ["refused", "not started"]
    assert seen[0].reason.startswith("placement=gpu: recipe=tfidf takes cpu")
    sent.write(tmp_path)
    assert [one.status for one in look.look(folder)] == ["not started"] * 2


def test_a_combination_that_does_not_compose_stops_all(cli):
    done = cli("-m", *TFIDF, "seed=0,one")
    assert done.returncode == 2
    assert "seed=one" in done.stderr


def test_a_sweep_s_name_follows_from_its_runs_alone(tmp_path):
    one, other = record("onet/a", "onet/b"), record("onet/b", "onet/a")
    assert one.name == other.name != record("onet/a", "onet/c").name
    assert one.name.startswith("seed-")
    folder = one.write(tmp_path)
    assert folder == one.write(tmp_path)
    assert Record.read(folder) == one


def test_a_run_counts_as_running_only_while_its_lock_is_held(tmp_path):
    done, going, dead, failed, left = (tmp_path / "onet" / name for name in ("done", "going", "dead", "failed", "left"))
    sweep = record("onet/done", "onet/going", "onet/dead", "onet/failed", "onet/left")
    for folder in (done, going, dead, failed):
        events = [{"event": "phase_start", "name": "train", "time": time.time() - 10}]
        events += [{"event": "step", "step": 5, "steps": 20, "time": time.time()}, {"event": "st"}]
        text = "\n".join(map(json.dumps, events))[:-3]
        (store.working(folder) / "events.jsonl").write_text(text, encoding="utf-8")
    store.settle(done, Row({"status": "finished", "test.macro_f1": 0.5}))
    folder = sweep.write(tmp_path)
    time.sleep(0.02)
    store.settle(failed, Row({"status": "failed", "reason": "it broke\nfor a reason"}))
    with store.claimed(going):
        with at_work(folder):
            seen = look.look(folder)
            assert [one.status for one in seen] == ["finished", "running", "waiting", "failed", "waiting"]
        assert (seen[1].step, seen[1].steps, seen[1].phase) == (5, 20, "train")
        assert tables.time_left(seen[1], None) == pytest.approx(30, abs=0.1)
        assert seen[3].reason == "it broke"
        assert seen[0].earlier and not seen[3].earlier
    seen = look.look(folder)
    assert [one.status for one in seen] == ["finished", "broken off", "broken off", "failed", "not started"]
    sweep.write(tmp_path)
    with at_work(folder):
        assert look.look(folder)[3].status == "waiting", "what failed in an earlier start is to be done again"


def result(folder, **changes):
    values = LIKE | {"worker.seconds": 30.0, "train.seconds": 20.0, "phase.save.seconds": 1.0} | changes
    return Result(Row({key: value for key, value in values.items() if value != "missing"}), folder)


def test_an_estimate_is_taken_from_the_runs_most_alike_and_scaled_where_they_did_another_work(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights").write_bytes(b"x" * 3_000_000)
    (tmp_path / "onnx").mkdir()
    (tmp_path / "onnx" / "model.onnx").write_bytes(b"x" * 1_000_000)  # exported since: no run leaves it
    run = Run(["recipe=torch"], "onet/a", LIKE)
    assert estimates.estimate(run, []) is None
    assert estimates.estimate(run, [result(tmp_path, recipe="fastai"), result(tmp_path, precision="bf16")]) is None
    rows = [result(tmp_path), result(tmp_path, **{"worker.seconds": 40.0})]
    earlier = {"worker.seconds": 1000.0, "placement": "missing"}  # as in a row of an earlier version
    others = [result(tmp_path, data="csv", **earlier), result(tmp_path, threads=8)]
    found = estimates.estimate(run, [*others, *rows])
    assert (found.seconds, found.runs, found.scaled, found.source) == (35, 2, False, "2 runs")
    assert found.megabytes == pytest.approx(3)
    longer = estimates.estimate(Run([], "", LIKE | {"train.epochs": 6}), rows)
    assert longer.seconds == 35 + 20 * 2, "training alone is scaled"
    assert longer.source == "2 runs, scaled"
    assert estimates.estimate(Run([], "", LIKE | {"data": "hub", "train.rows": 500}), rows).seconds == 25


def test_estimates_are_taken_from_finished_runs_alone(tmp_path):
    assert estimates.finished(tmp_path / "none") == []
    for name, status in (("one", "finished"), ("other", "failed"), (".hidden", "finished")):
        (tmp_path / "onet" / name).mkdir(parents=True)
        (tmp_path / "onet" / name / "result.json").write_text(json.dumps({"status": status}), encoding="utf-8")
    assert [one.folder.name for one in estimates.finished(tmp_path)] == ["one"]


def test_durations_are_spelled():
    assert [tables.spelled(seconds) for seconds in (0, 59.4, 60, 3723)] == ["0 s", "59 s", "1 min 0 s", "1 h 2 min"]


def test_the_status_script_tells_of_the_newest_sweep_or_of_the_one_named(tmp_path):
    script = [sys.executable, str(ROOT / "scripts" / "status.py"), "--outputs", str(tmp_path)]
    nothing = subprocess.run(script, capture_output=True, text=True, check=False)
    assert (nothing.returncode, nothing.stderr.startswith("error: there is no sweep in")) == (2, True)
    old = record("onet/a").write(tmp_path)
    record("onet/b", "onet/c").write(tmp_path)
    said = subprocess.run(script, capture_output=True, text=True, check=True).stdout
    assert "2 runs: 2 not started" in said
    assert "1 run: 1 not started" in subprocess.run([*script, old.name], capture_output=True, text=True).stdout
    terminal, end = pty.openpty()
    live = subprocess.run(script, stdout=end, check=False, timeout=30)
    assert live.returncode == 0, "on a terminal it goes on after the sweep has ended"
    assert "\x1b[" in os.read(terminal, 1 << 16).decode()
    assert subprocess.run([*script, "nosuch"], capture_output=True, text=True).returncode == 2


HOLD = """
import os, sys
from harness.machine import host, shares
host.gpu_ids = lambda: sys.argv[2].split(",") if sys.argv[2] else []
with shares.hold(int(sys.argv[1])):
    print(*host.cores(), os.environ.get("CUDA_VISIBLE_DEVICES", ""), flush=True)
    sys.stdin.read()
"""


def holder(tmp_path, cores, gpus):
    variables = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
    variables["TMPDIR"] = str(tmp_path)
    command = [sys.executable, "-c", HOLD, str(cores), gpus]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    return subprocess.Popen(command, cwd=ROOT, env=variables, text=True, **pipes)


@pytest.mark.skipif(host.processors() < 2, reason="one core")
@pytest.mark.parametrize("gpus", ["0,1,2,3", "7", ""])
def test_runs_at_once_have_cores_and_gpus_of_their_own_and_what_is_more_waits(tmp_path, gpus):
    cores = host.processors() // 2
    first, second = holder(tmp_path, cores, gpus), holder(tmp_path, cores, gpus)
    held = [process.stdout.readline().split(" ") for process in (first, second)]
    assert not set(held[0][:-1]) & set(held[1][:-1])
    assert len(held[0]) == len(held[1]) == cores + 1
    visible = sorted(device for words in held for device in words[-1].strip().split(","))
    assert visible == {"0,1,2,3": ["0", "1", "2", "3"], "7": ["7", "7"], "": ["", ""]}[gpus]
    third = holder(tmp_path, cores, gpus)
    assert select.select([third.stdout], [], [], 1)[0] == [], "the third does not wait"
    first.kill()  # its share is free at once
    assert third.stdout.readline().split(" ") == held[0]
    for process in (first, second, third):
        process.communicate()


def test_a_process_of_an_engine_whose_parent_went_before_it_looked_ends_too():
    program = "import time; from harness.sweeps import engine; engine.end_with_parent(); time.sleep(20)"
    gone = {**os.environ, engine.PARENT: "0"}
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=gone, timeout=10).returncode == 1


def test_an_engine_with_an_environment_of_its_own_is_started_in_that(tmp_path, monkeypatch):
    assert bootstrap.environment_for(["-m", "hydra/launcher=ray", "seed=0,1"]) == "core_ray"
    monkeypatch.setattr(bootstrap, "ROOT", tmp_path)
    shutil.copytree(ROOT / "conf" / "hydra", tmp_path / "conf" / "hydra")
    (tmp_path / "conf" / "experiment").mkdir(parents=True)
    text = "# @package _global_\ndefaults:\n  - override /recipe: torch\n  - override /hydra/launcher: ray\n"
    (tmp_path / "conf" / "experiment" / "mine.yaml").write_text(text, encoding="utf-8")
    assert bootstrap.environment_for(["-m", "experiment=mine"]) == "core_ray"
    assert bootstrap.environment_for(["-m", "hydra/launcher=basic", "experiment=mine"]) == "core"
    assert bootstrap.environment_for(["-m", "hydra/launcher=joblib"]) == bootstrap.environment_for([]) == "core"


def test_a_key_that_an_engine_lacks_is_told_before_its_environment_is_built():
    there = ["-m", "hydra/launcher=ray", "hydra.launcher.ray.remote.num_cpus=1"]
    assert bootstrap.environment_for([*there, "+hydra.launcher.ray.remote.resources={ours:1}"]) == "core_ray"
    for word, meant in (("hydra.launcher.njobs=2", ""), ("hydra.launcher.ray.remote.numcpus=2", "remote.num_cpus")):
        with pytest.raises(UserError, match=f"no key '{word.partition('=')[0]}'.*{meant}") as told:
            bootstrap.environment_for([*there, word])
        assert told.value.code == 2


def test_what_ray_has_to_say_goes_to_the_sweep_s_log(tmp_path, monkeypatch, capsys):
    logger = logging.getLogger("ray")
    handler = logging.StreamHandler(sys.stderr)
    monkeypatch.setitem(sys.modules, "ray", types.ModuleType("ray"))
    monkeypatch.setattr(logger, "handlers", [handler])
    monkeypatch.setattr(logger, "propagate", False)
    with engine.logged({"_target_": "somewhere.RayLauncher"}, tmp_path / "log.txt"):
        logging.getLogger("ray._private.authentication").warning("Token authentication is enabled")
    assert (tmp_path / "log.txt").read_text(encoding="utf-8") == "Token authentication is enabled\n"
    assert capsys.readouterr().err == ""
    assert logger.handlers == [handler]


def test_a_refusal_is_told_in_full_and_once_for_all_runs_that_share_it(cli):
    words = ["data=csv", "data.train=nosuch.csv", "data.text=text", "data.label=label", "recipe=tfidf"]
    done = cli("-m", *words, "seed=range(0,35)", "plan=true")
    assert done.stdout.count("nosuch.csv") == 1
    assert "all 35 runs: " in done.stdout
    assert "nosuch.csv" not in done.stderr
    more = cli("-m", *words, "seed=0,1,-1", "plan=true").stdout
    assert "seed=0, seed=1: " in more
    assert "seed=-1: seed=-1: " in more
    assert cli(*words, "plan=true").stdout.count("nosuch.csv\n") == 1


@pytest.mark.parametrize(
    ("name", "accepted", "cores", "at_once"),
    [
        ("joblib", JobLibLauncherConf, 2, 2),
        ("submitit_local", LocalQueueConf, 2, 2),
        ("submitit_slurm", SlurmQueueConf, None, None),
        ("ray", None, 2, None),
    ],
)
def test_an_engine_s_choice_has_keys_that_it_takes_and_a_part_of_the_machine(
    name, accepted, cores, at_once, monkeypatch
):
    values = yaml.safe_load((ROOT / "conf" / "hydra" / "launcher" / f"{name}.yaml").read_text(encoding="utf-8"))
    if accepted:
        assert values.keys() <= {field.name for field in fields(accepted)}
        assert values["_target_"] == accepted._target_
    if "submitit" in name:  # it loads pickles that it finds under a job's number, whoever left them
        assert "${now:" in values["submitit_folder"].partition("%j")[0]
    monkeypatch.setattr(host, "processors", lambda: 4)
    assert engine.cores(values) == cores
    assert engine.at_once(values) == at_once
    if name == "joblib":
        assert (engine.cores(values | {"n_jobs": -1}), engine.at_once(values | {"n_jobs": -1})) == (1, 4)
        assert (engine.cores(values | {"n_jobs": 9}), engine.at_once(values | {"n_jobs": 9})) == (1, 4)


def test_an_interrupted_run_is_told_as_such_and_is_still_to_be_done(tmp_path):
    sweep = record("onet/a", "onet/b")
    row = {"reason": "stopped; the same command goes on with it", "worker.seconds": 3.0, "test.macro_f1": None}
    for name, status in (("a", "interrupted"), ("b", "failed")):
        store.working(tmp_path / "onet" / name)
        store.settle(tmp_path / "onet" / name, Row({"status": status, **row}))
    place = sweep.write(tmp_path)
    os.utime(place / "sweep.json", (0, 0))
    seen = look.look(place)
    assert [(one.status, one.todo) for one in seen] == [("interrupted", True), ("failed", True)]
    assert tables.counts(seen) == "2 runs: 1 interrupted, 1 failed"
    for table in (tables.outcome(sweep, seen), tables.now(sweep, seen, tmp_path)[0]):
        assert [row[1].style for row in table.rows] == ["yellow", "red"]
        assert "goes on with it" in table.rows[0][-1]
    sweep.write(tmp_path)
    with at_work(place):
        assert [one.status for one in look.look(place)] == ["waiting", "waiting"]


def test_the_table_says_which_run_s_times_are_no_timing():
    row = {"test.macro_f1": 0.5, "worker.seconds": 3.0, "status": "finished", "reason": None}
    sweep = record("a", "b")
    seen = [
        look.Seen(run, "finished", Row({**row, "timing": word}))
        for run, word in zip(sweep.runs, ("noisy", "ok"), strict=True)
    ]
    seen[0].earlier = True
    remarks = [row[-1] for row in tables.outcome(sweep, seen).rows]
    assert remarks == ["from an earlier start, noisy: no timing", ""]


@pytest.mark.parametrize(("tasks", "name"), [
    ((None, None), "test macro-F1"), ((None, "multilabel"), "test macro-F1 or micro-F1"),
    (("multilabel",) * 2, "test micro-F1"),
])  # fmt: skip
def test_the_table_shows_the_primary_figure_of_each_run_s_task(tasks, name, monkeypatch):
    monkeypatch.setitem(METRICS, "multilabel", replace(METRICS["multilabel"], primary="micro_f1"))
    figures = {"test.macro_f1": 0.5, "test.micro_f1": 0.7, "worker.seconds": 3.0, "status": "finished", "reason": None}
    sweep = record("a", "b")
    rows = [Row(figures | ({"task": task} if task else {})) for task in tasks]
    seen = [look.Seen(run, "finished", row) for run, row in zip(sweep.runs, rows, strict=True)]
    table = tables.outcome(sweep, seen)
    assert table.head[2] == name
    assert [row[2] for row in table.rows] == ["0.700" if task else "0.500" for task in tasks]
