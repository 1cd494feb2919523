"""Where a run is placed: the choice, what is refused, what a run is by it, and how a row tells which process failed."""

import json
import socket
from pathlib import Path

import pytest
from gpu_support import cards
from hydra import compose, initialize_config_dir
from job_support import a_job
from support import RECIPES, chosen, devices

from harness import config
from harness.base.errors import UserError
from harness.config import placing
from harness.machine import gpu, host, placement
from harness.runs import launch, prepare
from harness.runs.outcome import Outcome
from harness.use import info
from recipes.contract import together
from recipes.contract.job import Every, Placement, Rows, Train


def configured(*words):
    with initialize_config_dir(str(config.CONF), version_base="1.3"):
        return config.checked(compose("config", list(words)))


def placed(*words):
    return placing.placed(configured(*words), host.Machine.here())


@pytest.fixture
def four_gpus(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    devices(monkeypatch, *[(9, 0)] * 4)


@pytest.mark.parametrize("recipe", RECIPES)
def test_without_a_gpu_auto_is_one_process_on_the_processors_and_the_same_run_as_ever(monkeypatch, recipe):
    devices(monkeypatch)
    where = placed(*chosen(recipe))
    assert (where.name, where.processes, where.launched) == ("cpu", 1, False)
    assert where.identity() is None
    assert where.variables()["CUDA_VISIBLE_DEVICES"] == ""


def test_with_gpus_auto_takes_one_where_the_recipe_can(four_gpus):
    chosen = placed("recipe=torch")
    assert (chosen.name, chosen.processes) == ("gpu", 1)
    assert chosen.variables()["CUDA_VISIBLE_DEVICES"] == "0"
    assert chosen.identity() == {"device": "gpu", "processes": 1}
    assert placed("recipe=tfidf").name == "cpu"
    assert placed("recipe=keras").name == "gpu"


def test_several_gpus_are_all_or_as_many_as_asked_for_and_those_that_one_may_use(four_gpus, monkeypatch):
    assert placed("placement=multi_gpu").processes == 4
    assert placed("placement=multi_gpu", "placement.processes=2").variables()["CUDA_VISIBLE_DEVICES"] == "0,1"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,1")
    assert host.gpu_ids() == ["3", "1"]
    assert placed("placement=multi_gpu").variables()["CUDA_VISIBLE_DEVICES"] == "3,1"
    with pytest.raises(UserError, match="GPUs on this machine: 2"):
        placed("placement=multi_gpu", "placement.processes=4")


CARDS = {"uuid": "GPU-11aa-22"}, {"uuid": "GPU-11bb-33"}, {"uuid": "GPU-44", "instances": [{"uuid": "MIG-55"}]}


@pytest.mark.parametrize(
    ("said", "understood"),
    [
        (None, ["0", "1", "2"]),
        ("", []),
        ("-1", []),
        ("1,-1,0", ["1"]),
        ("0, 2", ["0", "2"]),
        ("2,7,0", ["2"]),
        ("1,1", []),
        ("GPU-11bb-33,GPU-11aa", ["GPU-11bb-33", "GPU-11aa"]),
        ("GPU-11,0", []),  # two begin so
        ("GPU-99", []),
        ("MIG-55", ["MIG-55"]),
        ("MIG-66", []),
        ("NoDevFiles", []),
    ],
)
def test_cuda_visible_devices_is_read_as_cuda_reads_it(monkeypatch, said, understood):
    cards(monkeypatch, *CARDS)
    if said is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", said)
    assert host.gpu_ids() == understood
    if understood:
        assert placed("placement=gpu").devices == tuple(understood[:1])
        assert placed("placement=gpu").variables()["CUDA_VISIBLE_DEVICES"] == understood[0]


@pytest.mark.parametrize(
    ("name", "used"),
    [
        ("1", 20),
        ("GPU-11bb", 20),
        ("MIG-55", 5),
        ("2", 5),
        ("GPU-44", 5),
        ("3", None),
    ],  # 3: two instances, which is ours?
)
def test_a_name_is_the_device_that_nvml_has_by_it_a_part_of_a_card_too(monkeypatch, name, used):
    (first, second, third), two = CARDS, [{"uuid": "MIG-7", "used": 7}, {"uuid": "MIG-8", "used": 8}]
    third = {**third, "used": 40, "name": "H100", "instances": [{"uuid": "MIG-55", "used": 5}]}
    cards(monkeypatch, {**first, "used": 10}, {**second, "used": 20}, third, {"instances": two, "used": 15})
    found = gpu.Gpu.open([name])
    assert found.of_devices() == used
    assert found.capabilities() == [(9, 0)]
    if used == 5:
        assert found.names() == ["H100"]
    assert gpu.Gpu.open([name, "9"]) is None


def test_a_lost_card_keeps_its_number_and_is_none_for_us_and_one_without_memory_of_its_own_is_shown(
    monkeypatch, capsys
):
    cards(monkeypatch, {"name": "A"}, {"lost": True}, {"name": "C", "unified": True})
    assert host.gpu_ids() == ["0", "2"]
    assert placed("placement=multi_gpu").devices == ("0", "2")
    info.show()
    shown = " ".join(capsys.readouterr().out.split())
    assert "0: A, 80 GiB, compute capability 9.0" in shown
    assert "2: C, memory of the machine, compute capability 9.0" in shown
    assert "for us (CUDA_VISIBLE_DEVICES): 0, 2" in shown
    assert "precision fp32, tf32, and bf16 natively" in shown


def test_the_machine_is_described_by_the_gpus_that_one_may_use(monkeypatch):
    cards(monkeypatch, {"name": "A100"}, {"name": "H100"})
    assert "A100, H100" in host.describe.__wrapped__()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert ", H100, " in (said := host.describe.__wrapped__())
    assert "A100" not in said
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert "no GPU" in host.describe.__wrapped__()


def test_precision_is_that_of_the_run_s_own_devices(monkeypatch):
    devices(monkeypatch, (9, 0), (7, 5))
    assert run_of("recipe=torch", "placement=gpu", "precision=tf32") == "tf32"
    assert run_of("recipe=torch", "placement=gpu") == "bf16"
    assert run_of("recipe=torch", "placement=multi_gpu") == "fp32"
    with pytest.raises(UserError, match="older") as refused:
        run_of("recipe=torch", "placement=multi_gpu", "precision=tf32")
    assert refused.value.code == 2
    with pytest.raises(UserError, match="controlled is in fp32"):
        run_of("recipe=torch", "placement=gpu", "precision=tf32", "protocol=controlled")
    assert run_of("recipe=tfidf", "precision=tf32") is None, "precision is nothing to it, in a sweep with others"


def run_of(*words):
    """Return the precision of the run that the words describe, a part of what it is."""
    prepared = prepare.prepare(configured(*words, "data=onet", "data.train_size=100"))
    folder, precision = prepared.directory, prepared.identity.precision
    assert precision is None or f"-native-{precision}-seed0" in folder.name
    assert prepared.placed.accelerate["mixed_precision"] == ("bf16" if precision == "bf16" else "no")
    return precision


def test_processes_make_another_run_and_one_of_them_does_not():
    assert placed("placement=multi_cpu", "placement.processes=3").identity()["processes"] == 3
    assert placed("placement=multi_cpu", "placement.processes=1").identity() is None


def test_machines_are_handed_on_to_accelerate():
    words = ["placement.main_process_ip=10.0.0.1", "placement.processes=4", "placement.use_cpu=true"]
    first, second = (placed("placement=multi_node", *words, f"placement.machine_rank={rank}") for rank in (0, 1))
    assert (first.first, second.first) == (True, False)
    assert second.accelerate["main_process_ip"] == "10.0.0.1"
    assert (second.accelerate["machine_rank"], second.accelerate["num_machines"], second.local_processes) == (1, 2, 2)
    assert first.identity() != second.identity()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["recipe=tfidf", "placement=multi_cpu"], "recipe=tfidf takes cpu"),
        (["recipe=flair", "placement=multi_cpu"], "GPUs only"),
        (["recipe=keras", "recipe.backend=torch", "placement=multi_cpu"], "TensorFlow and JAX only"),
        (["placement=gpu"], "no GPU here"),
        (["placement=multi_cpu", "placement.processes=0"], "above 0"),
        (["placement=multi_node", "placement.main_process_ip=h", "placement.use_cpu=true", "placement.processes=3"],
         "not a multiple"),
        (["placement=multi_node", "placement.main_process_ip=h", "placement.use_cpu=true", "placement.machine_rank=2"],
         "counted from 0"),
        (["placement=multi_node"], "main_process_ip is needed"),
        (["recipe=jax", "placement=multi_node"], "recipe=jax takes cpu.*accelerate"),
        (["recipe=tfidf", "placement=multi_node"], "recipe=tfidf takes cpu"),
        (["placement=multi_node", "placement.use_cpu=true", "placement.main_process_ip=no.such.host.invalid"],
         "main_process_ip=no.such.host.invalid: no machine of this name is known here"),
        (["placement=multi_node", "placement.use_cpu=true", "placement.main_process_ip="],
         "main_process_ip=: no machine of this name"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_in_words(monkeypatch, words, said):
    devices(monkeypatch)
    with pytest.raises(UserError, match=said):
        placed(*words)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["recipe=flair", "placement=multi_gpu", "protocol=controlled"], "protocol=controlled on one device only"),
        (["recipe=keras", "placement=multi_cpu", "train.accumulate=2"], "recipe.backend=jax has it"),
    ],
)
def test_what_a_library_does_on_one_device_only_is_refused_on_several_and_there_alone(four_gpus, words, said):
    with pytest.raises(UserError, match=said):
        placed(*words)
    recipe, _, *others = words
    placed(recipe, "placement=cpu", *others)
    placed(*words[:2])
    if recipe == "recipe=keras":
        placed(*words, "recipe.backend=jax")


def test_a_free_port_is_free_and_another_each_time():
    ports = {placement.free_port() for _ in range(20)}
    assert len(ports) > 10
    for port in ports:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", port))


@pytest.mark.parametrize(
    ("events", "said"),
    [
        ([(1, "KeyError", "'x'"), (0, "RuntimeError", "closed by peer"), {0: 1, 1: 1}], "rank 1: KeyError: 'x'"),
        ([(1, "KeyError", "\x1b[1m'x'\x1b[0m"), {1: 1, 0: -15}], "rank 1: KeyError: 'x'"),
        ([(0, "RuntimeError", "closed by peer"), {0: 1, 1: -9}], "rank 1 was killed in the phase train (by SIGKILL"),
        ([{1: -9, 0: -15}], "rank 1 was killed in the phase train (by SIGKILL"),
        ([{1: -15, 0: -15}], "rank 1 was killed in the phase train (by SIGTERM"),
        ([(0, "RuntimeError", "closed by peer"), {1: 3, 0: 1}], "rank 1 ended in the phase train with exit code 3"),
    ],
)
def test_the_row_says_which_process_failed_first_and_why(tmp_path, events, said):
    outcome = Outcome(phase="train")
    *errors, ended = events
    for rank, kind, message in errors:
        outcome.take({"event": "error", "rank": rank, "type": kind, "message": message})
    for rank, code in ended.items():
        outcome.take({"event": "ended", "rank": rank, "exit_code": code})
    status, reason = launch.diagnose(1, outcome, tmp_path)
    assert status == "failed"
    assert reason.startswith(said)
    assert outcome.log_name == ("log.rank1.txt" if "rank 1" in said else "log.txt")


@pytest.mark.parametrize(
    "message",
    [
        "[pair.cc:537] Read error [127.0.0.1]:37522: Connection reset by peer. Check the logs of the remote worker",
        "[pair.cc:534] Connection closed by peer [127.0.0.1]:8470",
        "NCCL error: remote process exited or there was a network error",
    ],
)
def test_a_machine_that_lost_another_tries_again_as_the_other_may(tmp_path, message):
    error = {"event": "error", "rank": 0, "type": "RuntimeError", "message": message}
    for machines, said in ((1, "rank 0: RuntimeError: "), (2, "rank 0 lost another machine")):
        outcome = Outcome(machines=machines)
        outcome.take(error)
        outcome.take({"event": "ended", "rank": 0, "exit_code": 1})
        assert launch.diagnose(1, outcome, tmp_path)[1].startswith(said)
        assert outcome.transient == (machines > 1)


def described(monkeypatch, machine, **changed):
    """Return what a machine says of its run."""
    monkeypatch.setenv("GROUP_RANK", str(machine))
    values = {"labels": ("a", "b"), "train": Train(epochs=1, batch_size=16), "checkpoint": Every(seconds=600)}
    values |= {"settings": {"learning_rate": 1e-4}, "placement": Placement(2, machines=2, machine_rank=machine)}
    values |= {"splits": {"train": Rows(Path(f"/home/{machine}/data/onet-abc/train"))}}
    return together.described(a_job(Path(f"/home/{machine}"), **values | changed))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"train": Train(epochs=1, batch_size=8)}, "train.batch_size is 16 on machine 0, 8 on machine 1"),
        ({"checkpoint": Every(steps=5)}, "checkpoint.seconds is 600 on machine 0, None on machine 1"),
        ({"precision": "bf16"}, "precision is fp32 on machine 0, bf16 on machine 1"),
        (
            {"splits": {"train": Rows(Path("/x/onet-def/train"))}},
            "data.data is onet-abc on machine 0, onet-def on machine",
        ),
        ({"seed": 1}, "seed is 0 on machine 0, 1 on machine 1"),
    ],
)
def test_machines_that_were_asked_for_different_runs_are_told_what_differs(monkeypatch, changed, said):
    same = [described(monkeypatch, machine) for machine in (0, 1)]
    together.compare(same)
    with pytest.raises(ValueError, match=f"the machines do not do the same run: {said}"):
        together.compare([*same, described(monkeypatch, 1, **changed)])


def test_of_several_processes_the_first_alone_reports_and_saves_and_each_tells_an_error(tmp_path, monkeypatch):
    job = a_job(tmp_path, placement=Placement(2))
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("LOCAL_RANK", "1")
    with job.phase("train"):
        job.step(1, 2, loss=1.0)
    job.event("error", rank=1, type="KeyError", message="x")
    with pytest.raises(SystemExit) as end, job.phase("save"):
        raise AssertionError("a second process saves")
    assert not end.value.code
    (event,) = map(json.loads, (tmp_path / "events.jsonl").read_text(encoding="utf-8").splitlines())
    assert (event["event"], event["rank"]) == ("error", 1)
    monkeypatch.setenv("LOCAL_RANK", "0")  # of another machine, which has a folder of its own
    job.step(2, 2)
    assert len((tmp_path / "events.jsonl").read_text(encoding="utf-8").splitlines()) == 2


def test_the_worker_s_environment_names_no_rank_of_a_launcher_around_us(tmp_path, monkeypatch):
    monkeypatch.setenv("RANK", "3")
    seen = {}
    monkeypatch.setattr(launch.subprocess, "Popen", lambda *_, env, **__: seen.update(env) or 1 / 0)
    with pytest.raises(ZeroDivisionError), launch.worker(tmp_path, tmp_path / "python", "finetune", 1):
        pass
    assert "RANK" not in seen
    assert seen["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID", "numbers of GPUs are NVML's"
