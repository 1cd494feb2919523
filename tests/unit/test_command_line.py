"""The command line: help, every shipped choice, and what is said of a wrong one. All through train.py itself."""

import socket
import subprocess
import sys

import pytest
import yaml
from support import ROOT

from harness import machine

CHOICES = [
    (group.name, choice.stem)
    for group in sorted((ROOT / "conf").iterdir())
    if group.is_dir() and group.name not in ("hydra", "experiment")
    for choice in sorted(group.glob("*.yaml"))
]


@pytest.mark.parametrize(("group", "choice"), CHOICES)
def test_every_shipped_choice_composes_and_is_named_as_its_file(cli, group, choice):
    done = cli(f"{group}={choice}", "--cfg", "job", "--package", group)
    assert done.returncode == 0, done.stderr
    assert f"name: {choice}\n" in done.stdout


def test_an_experiment_composes_and_says_what_it_reproduces(cli):
    for path in (ROOT / "conf" / "experiment").glob("*.yaml"):
        about = yaml.safe_load(path.read_text(encoding="utf-8"))["about"]
        assert about.keys() == {"reproduces", "source", "published", "differs"}
        assert all(one.keys() == {"system", "source", "metric", "split", "value"} for one in about["published"])
        done = cli(f"experiment={path.stem}", "--cfg", "job")
        assert done.returncode == 0, done.stderr


def test_help_lists_groups_choices_and_five_examples(cli):
    text = cli("--help").stdout
    for group, choice in CHOICES:
        assert choice in text.split(f"\n{group}: ")[1].splitlines()[0]
    examples = text.split("Examples:")[1].split("\n\n")[0]
    assert examples.count("python train.py") == 5


def test_info_tells_what_the_machine_has_and_what_auto_takes(cli):
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        said = cli("--info", CUDA_VISIBLE_DEVICES="").stdout
        assert str(listening.getsockname()[1]) in said.split("in use:")[1].splitlines()[0]
    told = {line[:12].strip(): line[12:] for line in said.splitlines()}
    assert told["processors"].startswith(f"{machine.processors()} for us")
    assert "placement=cpu" in told["auto"]
    assert ("precision=bf16" in told["auto"]) == machine.computes_bf16(on_gpu=False)
    for name in ("memory", "GPU", "precision", "ports"):
        assert told[name]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["recipe=hf_trainr"], ["no recipe named 'hf_trainr'", "'hf_trainer'", "tfidf"]),
        (["data=job_title"], ["no data named 'job_title'", "'job_titles'", "csv"]),
        (["seeed=1"], ["'seeed'", "'seed'"]),
        (["recipe.lerning_rate=1"], ["'recipe.lerning_rate'", "'recipe.learning_rate'"]),
        (["data=csv", "data.txt=a"], ["'data.txt'", "'data.text'"]),
        (["seed=one"], ["seed=one", "Integer"]),
        (["seed=-1"], ["seed=-1"]),
        (["precision=fp8"], ["fp8", "fp32", "bf16"]),
        (["train.epochs=0"], ["train.epochs=0"]),
        (["limits.minutes=-3"], ["limits.minutes=-3"]),
        (["measure.batch_sizes=[8,8]"], ["measure.batch_sizes=[8, 8]", "different"]),
        (["measure.calls=0"], ["measure.calls=0"]),
        (["measure.target=50"], ["measure.target=50.0", "up to 1"]),
        (["recipe=torch", "placement=multi_cpu", "measure.target=0.5"], ["measure.target", "one process"]),
        (["measure.at_most=1"], ["measure.at_most=1.0", "measure.seconds"]),
        (["data.max_length=1.5"], ["data.max_length=1.5", "whole number"]),
        (["model.pooling=max"], ["model.pooling=max", "mean", "cls"]),
        (["model.from_scratch=sead"], ["model.from_scratch=sead", "whole number", "seed"]),
        (["model.dropout=1.5"], ["model.dropout=1.5", "below 1"]),
        (["protocol=controlled", "recipe=tfidf"], ["recipe=tfidf", "protocol=native"]),
        (["protocol=controlled", "precision=bf16"], ["fp32", "protocol=native"]),
        (["model=path"], ["model.path"]),
        (["recipe=tfidf", "placement=multi_cpu"], ["placement=multi_cpu", "recipe=tfidf takes cpu"]),
        (["placement=cpu", "placement.processes=2"], ["placement=multi_cpu"]),
        (["seed"], ["seed"]),
        (["-m", "--cfg", "job"], ["Only one of"]),
        (["recipe=["], ["'['"]),
        (["experiment=null"], ["experiment=null", "native_search"]),
        (["evaluate=[test]"], ["evaluate=['test']", "[valid]"]),
        (["hparams_search.trials=3"], ["hparams_search.trials belongs to hparams_search=tpe"]),
        (["hparams_search=tpe", "recipe.lerning_rate=interval(1,2)"], ["'recipe.learning_rate'"]),
    ],
)
def test_a_wrong_command_line_is_told_in_words_with_exit_code_2(cli, tmp_path, words, said):
    done = cli(*words)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("error: ")
    for text in said:
        assert text in done.stderr
    assert not (tmp_path / "outputs").exists()


def test_an_environment_that_is_no_python_is_told(cli, tmp_path):
    done = cli("recipe=tfidf", "data=onet", f"env={tmp_path}/python")
    assert done.returncode == 1
    assert f"there is no Python at {tmp_path}/python" in done.stdout + done.stderr


@pytest.mark.parametrize(
    "word",
    [
        "model=null", "recipe=null", "data=null", "data.train=[a.csv,b.csv]", "data.text=[[a]]", "data.encoding=[x]",
        "data.name=../evil", "model.path=[a]", "limits.minutes=nan",
    ],
)  # fmt: skip
def test_a_value_of_the_wrong_kind_is_told(cli, word):
    done = cli("data=csv", "data.train=none.csv", "data.text=a", "data.label=b", word)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("error: ")


@pytest.mark.parametrize(
    "word", ["data.train=5", "data.text=5", "data.encoding=1252", "data.encoding=hex", "model.path=5"]
)
def test_a_number_where_a_name_is_wanted_is_a_name(cli, tmp_path, word):
    (tmp_path / "a.csv").write_text("a,b\n1,2\n2,1\n")
    done = cli("data=csv", "data.train=a.csv", "data.text=a", "data.label=b", word)
    assert done.returncode == 1
    assert "error: " in done.stderr


def test_a_key_of_another_choice_says_which(cli):
    assert "data.train belongs to data=csv" in cli("data.train=offres.csv").stderr


def test_a_program_that_is_no_python_is_told(cli):
    done = cli("recipe=tfidf", "data=onet", "env=/bin/true")
    assert done.returncode == 1
    assert "does not answer as a Python does" in done.stderr


def test_the_reader_of_our_output_may_go(tmp_path):
    command = f"{sys.executable} {ROOT}/scripts/environments.py | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
