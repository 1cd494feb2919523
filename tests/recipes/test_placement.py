"""Two processes on the processors: they train as one does, each row is predicted once, and all end with one."""

import contextlib
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from hydra import compose, initialize_config_dir
from job_support import a_job
from support import (
    LIBRARIES,
    ROOT,
    VARIANTS,
    Forked,
    Runs,
    gone,
    hold,
    kill_at_checkpoint,
    killed_at_checkpoint,
    others,
    workers,
)

from harness import config
from harness.base import environments
from harness.config import placing
from harness.machine import placement
from harness.machine.host import Machine
from harness.runs import launch
from harness.use.parity import ROWS, STEPS, training_lines
from harness.use.saved import contents

TWO = ["placement=multi_cpu", "placement.processes=2", f"train.batch_size={ROWS // 2}"]


def composed(*words: str) -> config.Settings:
    with initialize_config_dir(str(config.CONF), version_base="1.3"):
        return config.checked(compose("config", list(words)))


def takes(words: str) -> list[str]:
    return list(composed(*words.split()).recipe.places)


SEVERAL = [words for words in VARIANTS if "multi_cpu" in takes(words)]


@pytest.mark.parametrize("words", SEVERAL)
def test_two_processes_with_half_the_batch_train_as_one_and_predict_each_row_once(
    words, tmp_path, small_network, references
):
    """The reference does the same steps in one process; 101 rows do not divide evenly."""
    model = ["model=path", f"model.path={small_network('bert')}", "data.test_size=101"]
    comparison = Forked(tmp_path, [*TWO, *model], references)
    run = comparison.run([*words.split(), "model.dropout=0"], "two")  # two real processes; what reloads is forked
    row = contents(run / "result.json")
    assert (row["placement"], row["processes"], row["train.steps"]) == ("multi_cpu", 2, STEPS)
    hold(training_lines(run, comparison.reference(run)), at_least=5)
    assert row["reload.max_difference"] == 0
    for name in ("valid", "test"):
        predicted, data = np.load(run / f"predictions_{name}.npz"), contents(run / "job.json")["splits"][name]["data"]
        np.testing.assert_array_equal(predicted["row_ids"], np.fromfile(f"{data}/row_ids.bin", np.int64))
        assert predicted["logits"].shape == (len(predicted["labels"]), len(contents(run / "job.json")["labels"]))
        assert np.isfinite(predicted["logits"]).all()


TAGGING = [words for words in SEVERAL if "tagging" in LIBRARIES[words].takes]


@pytest.mark.parametrize("words", others(TAGGING, "recipe=torch"))
def test_the_mean_over_a_step_s_words_is_over_those_of_both_processes(
    words, tmp_path, small_network, references, data_of
):
    """Of texts that are no windows: their number is even, as fastai, which shares rows out evenly, takes them."""
    model = ["model=path", f"model.path={small_network('bert')}"]
    comparison = Forked(tmp_path, [*TWO, *model, *data_of("tagging"), "data.max_length=140"], references)
    run = comparison.run([*words.split(), "model.dropout=0"], "two")
    hold(training_lines(run, comparison.reference(run)), at_least=5)


@pytest.mark.parametrize("words", others(SEVERAL, "recipe=torch"))
def test_two_processes_go_on_from_a_checkpoint_to_the_bit(words, tmp_path, small_network):
    """With dropout: each process, or device, has random states of its own."""
    words = [*words.split(), *TWO, "protocol=controlled", "train.epochs=2", "checkpoint.every=10"]
    words += ["model=path", f"model.path={small_network('bert')}"]
    whole, cut = Runs(tmp_path / "whole"), Runs(tmp_path / "cut")
    whole.run(*words)
    killed_at_checkpoint(30, cut, words, cut.outputs)
    assert "going on from the checkpoint" in cut.run(*words)
    logits = [np.load(runs.folders()[0] / "predictions_test.npz")["logits"] for runs in (whole, cut)]
    np.testing.assert_array_equal(*logits)


def rank(number: int, folder: Path) -> psutil.Process:
    """Return one of several processes that train below a folder, when it is there."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        for process in workers(folder):
            with contextlib.suppress(psutil.Error):
                if process.environ().get("RANK") == str(number):
                    return process
        time.sleep(0.05)
    raise AssertionError(f"no process of rank {number} in {folder}")


def test_a_killed_process_takes_its_siblings_along_and_no_other_run_and_the_row_says_which(tmp_path):
    killed, other = Runs(tmp_path / "killed"), Runs(tmp_path / "other")
    words = ["recipe=torch", "placement=multi_cpu", "retries=0"]
    process, beside = killed.start(*words, "train.epochs=50"), other.start(*words)
    killed.wait_for("train", process)
    rank(1, killed.outputs).kill()
    assert gone(killed.outputs, 10)
    said, _ = process.communicate(timeout=30)
    assert process.returncode == 1
    row = killed.row()
    assert row["reason"].startswith("rank 1 was killed in the phase train (by SIGKILL")
    assert row["reason"] in said
    assert Path(row["log"]).name == "log.rank1.txt"
    assert Path(row["log"]).exists()
    said, _ = beside.communicate(timeout=300)
    assert other.row()["status"] == "finished", said


def test_a_killed_launcher_or_parent_leaves_no_process(tmp_path):
    for victim in ("launcher", "parent"):
        runs = Runs(tmp_path / victim)
        process = runs.start("recipe=torch", "placement=multi_cpu", "train.epochs=50", "retries=0")
        runs.wait_for("train", process)
        first = rank(0, runs.outputs)
        (first.parent() if victim == "launcher" else process).kill()
        assert gone(runs.outputs, 10), victim
        process.communicate(timeout=30)


NODES = [words for words in VARIANTS if "multi_node" in takes(words)]


def on_two_machines(place: Path, *words: str) -> list[tuple[Runs, subprocess.Popen[str]]]:
    """Start the same command on two machines, which share no folder of results; return what they are at."""
    words += ("placement=multi_node", "placement.use_cpu=true", "placement.main_process_ip=127.0.0.1", "retries=0")
    port, both = placement.free_port(), [Runs(place / str(number)) for number in range(2)]
    rank = "placement.machine_rank"
    words += (f"placement.main_process_port={port}",)
    return [(runs, runs.start(*words, f"{rank}={number}")) for number, runs in enumerate(both)]


@pytest.mark.parametrize("words", others(NODES, "recipe=torch"))
def test_two_machines_share_a_run_and_go_on_where_one_was_killed_to_the_bit(words, tmp_path, small_network):
    """They share no folder; the one that is killed is not the one that leaves the result."""
    words = [*words.split(), "model=path", f"model.path={small_network('bert')}", "train.batch_size=8"]
    words += ["train.epochs=2", "checkpoint.every=4"]
    whole = on_two_machines(tmp_path / "whole", *words)
    for _, process in whole:
        said, _ = process.communicate(timeout=300)
        assert process.returncode == 0, said
    first, second = (runs.row() for runs, _ in whole)
    assert (first["status"], second["status"]) == ("finished", "finished")
    assert first["test.accuracy"] > 0.15
    assert "test.accuracy" not in second
    assert second["train.steps"] == first["train.steps"], "each has seen its own training"
    assert not (whole[1][0].folders()[0] / "model").exists()

    cut = on_two_machines(tmp_path / "cut", *words)
    kill_at_checkpoint(8, *cut[1])
    said, _ = cut[0][1].communicate(timeout=120)
    assert "rank 0 lost another machine" in cut[0][0].row()["reason"], said
    for runs, process in on_two_machines(tmp_path / "cut", *words):
        said, _ = process.communicate(timeout=300)
        assert process.returncode == 0, said
        assert "going on from the checkpoint of step " in said
        assert runs.row()["train.resumed_at_step"] >= 4
    logits = [np.load(one[0][0].folders()[0] / "predictions_test.npz")["logits"] for one in (whole, cut)]
    np.testing.assert_array_equal(*logits)


def test_a_machine_that_nobody_meets_says_where_it_waited(tmp_path, monkeypatch):
    monkeypatch.setattr(placement, "MEETING", 2)
    python, waiting = environments.ensure("hf_trainer").python, contextlib.ExitStack()
    with waiting:
        started, used = [], waiting.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1]
        for number, port in ((0, placement.free_port()), (1, placement.free_port()), (0, used)):
            words = ["placement=multi_node", "placement.use_cpu=true", "placement.main_process_ip=127.0.0.1"]
            words += [f"placement.main_process_port={port}", f"placement.machine_rank={number}"]
            placed, folder = placing.placed(composed("recipe=torch", *words), Machine.here()), tmp_path / str(port)
            folder.mkdir()
            a_job(folder, placement=placed.of_job()).write()
            placed.write(folder)
            process = waiting.enter_context(launch.worker(folder, python, "finetune", 1, placed))
            started.append((folder, process))
        reasons = ["TimeoutError: not all 2 machines came to 127.0.0.1:{}"]
        reasons += ["TimeoutError: machine 0 did not answer at 127.0.0.1:{}"]
        reasons += ["OSError: address already in use: placement.main_process_port={}"]
        for (folder, process), said in zip(started, reasons, strict=True):
            process.wait(120)
            outcome = launch.Outcome(machines=2)
            with open(folder / "events.jsonl", encoding="utf-8") as handle:
                launch.follow(handle, outcome)
            _, reason = launch.diagnose(process.returncode, outcome, folder)
            assert reason.startswith(said.format(folder.name)), (folder / "log.txt").read_text(encoding="utf-8")


SLEEPY = """
import os, time

def finetune(job):
    with job.phase("train"):
        if job.rank == 1:
            while "train" not in (job.folder / "events.jsonl").read_text():  # of the first one, which alone tells
                time.sleep(0.1)
            {}
        time.sleep(600)  # the other, which has nothing to do
"""


@pytest.mark.parametrize(
    ("end", "said"),
    [
        ("raise KeyError('x')", "rank 1: KeyError: 'x'"),
        ("os._exit(3)", "rank 1 ended in the phase train with exit code 3"),
        ("os.kill(os.getpid(), 9)", "rank 1 was killed in the phase train (by SIGKILL"),
    ],
)
def test_the_end_of_one_process_is_the_end_of_all_and_told(tmp_path, monkeypatch, end, said):
    shutil.copytree(ROOT / "recipes", tmp_path / "recipes")
    (tmp_path / "recipes" / "sleepy").mkdir()
    (tmp_path / "recipes" / "sleepy" / "recipe.py").write_text(SLEEPY.format(end), encoding="utf-8")
    placed = placing.placed(composed("recipe=torch", *TWO), Machine.here())
    a_job(tmp_path, recipe="sleepy", placement=placed.of_job()).write()
    placed.write(tmp_path)
    monkeypatch.setattr(launch, "ROOT", tmp_path)
    outcome, events = launch.Outcome(), tmp_path / "events.jsonl"
    events.touch()
    with launch.worker(tmp_path, environments.ensure("hf_trainer").python, "finetune", 2, placed) as process:
        while process.poll() is None and "train" not in events.read_text(encoding="utf-8"):
            time.sleep(0.1)
        process.wait(60)
        assert gone(tmp_path, 0)
    with open(events, encoding="utf-8") as handle:
        launch.follow(handle, outcome)
    _, reason = launch.diagnose(process.returncode, outcome, tmp_path)
    assert reason.startswith(said)
    assert ("KeyError" in (tmp_path / outcome.log_name).read_text(encoding="utf-8")) == ("KeyError" in said)


PRETENDED = "import torch; torch.backends.mps.is_available = torch.backends.mps.is_built = lambda: True\n"


@pytest.mark.parametrize(
    ("environment", "device"),
    [
        ("fastai", "from recipes.fastai import recipe; print(recipe.default_device())"),
        ("flair", "from recipes.flair import recipe; print(recipe.flair.device)"),
        ("keras_torch", "from recipes.keras import recipe; print(recipe.keras.ops.convert_to_tensor(1.0).device)"),
        ("hf_trainer", "from accelerate import Accelerator; print(Accelerator().device)"),  # torch's and hf_trainer's
    ],
)
def test_placement_cpu_is_no_gpu_of_apple_s(environment, device):
    """Pretended: where PyTorch has such a GPU, what the libraries take by themselves."""
    variables = {**os.environ, **placing.placed(composed("recipe=torch", "placement=cpu"), Machine.here()).variables()}
    command = [environments.ensure(environment).python, "-c", PRETENDED + device]
    done = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["cpu"], done.stderr


COUNT = """
import os
from accelerate import PartialState
state = PartialState(cpu=True)
about = f"{state.process_index} of {state.num_processes}, {state.distributed_type.value}, {state.device.type}"
os.write(1, (about + "\\n").encode())  # whole: the other process writes there too
"""


def test_accelerate_takes_the_files_as_they_are(tmp_path):
    python = environments.ensure("hf_trainer").python
    files = sorted(placing.FILES.glob("*.yaml"))
    assert [file.stem for file in files] == sorted({*config.choices("placement")} - {"auto"})
    load = "import sys; from accelerate.commands.config.config_args import load_config_from_file as load\n"
    load += "for file in sys.argv[1:]: print(load(file).num_processes)"
    done = subprocess.run([python, "-c", load, *files], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "1", "2", "2", "2"]
    (tmp_path / "count.py").write_text(COUNT, encoding="utf-8")
    for name, said in (("cpu", ["0 of 1, NO, cpu"]), ("multi_cpu", [f"{n} of 2, MULTI_CPU, cpu" for n in range(2)])):
        command = [python, "-m", "accelerate.commands.launch", "--config_file", placing.FILES / f"{name}.yaml"]
        done = subprocess.run([*command, tmp_path / "count.py"], capture_output=True, text=True, check=True)
        assert sorted(done.stdout.splitlines()) == said
