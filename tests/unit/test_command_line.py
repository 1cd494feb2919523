"""The command line: help, every shipped choice, and what is said of a wrong one. All through train.py itself."""

import socket
import subprocess
import sys

import pytest
import yaml
from environments_support import bare, hollow
from support import ROOT

from harness import config
from harness.machine import host

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
    assert told["processors"].startswith(f"{host.processors()} for us")
    assert "placement=cpu" in told["auto"]
    assert ("precision=bf16" in told["auto"]) == host.Machine.here().bf16
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
        (["seed=one"], ["seed=one: give a whole number"]),
        (["seed=-1"], ["seed=-1"]),
        (["precision=fp8"], ["fp8", "fp32", "bf16", "tf32"]),
        (["precision=tf32"], ["precision=tf32", "placement=cpu is on processors", "precision=fp32"]),
        (["precision=tf32", "recipe=torch", "placement=multi_cpu"], ["placement=multi_cpu is on processors"]),
        (["protocol=controlled", "precision=tf32"], ["fp32", "protocol=native"]),
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
        (["recipe=torch", "recipe.learning_rate=-1e-3"], ["recipe.learning_rate=-0.001: give a number above 0"]),
        (["recipe.learning_rate=0,0001"], ["recipe.learning_rate=0.0001", "-m recipe.learning_rate=0,0001"]),
        (["recipe.betas=0.9,0.99"], ["recipe.betas=[0.9,0.99]", "-m recipe.betas=0.9,0.99"]),
        (["train.batch_size=1e3"], ["train.batch_size=1e3: give a whole number above 0"]),
        (["measure.batch_sizes=8"], ["measure.batch_sizes=8: give whole numbers above 0"]),
        (["rerun=maybe"], ["rerun=maybe: give true or false"]),
        (["recipe=keras", "recipe.backend=thorch"], ["recipe.backend=thorch", "tensorflow, jax, torch"]),
        (["+data.foo=1"], ["no key 'data.foo'"]),
        (["recipe=torch", "++recipe.lerning_rate=1"], ["no key 'recipe.lerning_rate'", "'recipe.learning_rate'"]),
        (["++train.x=1"], ["no key 'train.x'"]),
        (["+epochs=3"], ["no key 'epochs'", "'train.epochs'"]),
        (["recipe=tfidf", "++recipe.warmup=0"], ["recipe.warmup belongs to", "recipe=torch"]),
        (["-m", "recipe=tfidf,torch", "+recipe.foo=1,2"], ["no key 'recipe.foo'"]),
        (["~data.max_length"], ["cannot be taken away", "data.max_length=VALUE"]),
    ],
)
def test_a_wrong_command_line_is_told_in_words_with_exit_code_2(cli, tmp_path, words, said):
    done = cli(*words)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("error: ")
    for text in said:
        assert text in done.stderr
    assert not (tmp_path / "outputs").exists()


@pytest.mark.parametrize(
    "words",
    [
        ["++train.epochs=2"], ["+model.shape.num_hidden_layers=2", "model.from_scratch=1"], ["+hydra.job.env_set.A=1"],
        ["experiment=small_network", "recipe=tfidf", "++recipe.learning_rate=1e-4"], ["~experiment"],
        ["-m", "recipe=torch,tfidf", "++recipe.C=3"],
    ],
)  # fmt: skip
def test_keys_that_somebody_reads_may_be_added(words):
    config.check_signed(words)


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
    assert (done.stdout + done.stderr).count("does not answer as a Python does") == 1, "an error is told once"


def test_an_environment_in_which_no_run_can_be_done_is_refused_before_anything(cli, tmp_path):
    words = ["recipe=tfidf", "data=onet"]
    for env, said in (
        (tmp_path / "none", f"there is no Python at {tmp_path}/none"),
        (
            bare(tmp_path / "bare"),
            "lacks scikit-learn, skops, numpy.\nInstall into it what configs/environments/tfidf.txt pins",
        ),
    ):
        done = cli(*words, f"env={env}")
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith(f"error: env={env}: ") and said in done.stderr
        assert not (tmp_path / "outputs").exists(), "it is no run that failed"
    done = cli("-m", *words, f"env={tmp_path}/none", "plan=true")
    assert done.returncode == 1 and "there is no Python" in done.stdout
    assert cli("-m", *words, f"env={tmp_path}/none", "plan=true", "hydra/launcher=submitit_slurm").returncode == 0


def test_a_python_that_cannot_begin_is_told_in_the_words_of_one_that_could(cli, tmp_path):
    """Without numpy a worker ends before it can report what it lacks."""
    python = hollow(tmp_path / "hollow", "tfidf")
    said = cli("recipe=tfidf", "data=onet", f"env={python}").stdout
    pins = "configs/environments/tfidf.txt"
    assert f"ModuleNotFoundError: No module named 'numpy' in {python}: install {pins} there" in said


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("echo broken >&2; exit 3", "does not run as a Python:\n  broken"),
        ("kill -SEGV $$", "ended with exit code -11 and said nothing"),
        ("echo '[\"2.7.18\", []]'", "is Python 2.7.18; the recipes need Python 3.10 or newer"),
    ],
)
def test_an_interpreter_that_will_not_do_is_told(cli, tmp_path, program, said):
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n{program}\n", encoding="utf-8")
    python.chmod(0o755)
    done = cli("recipe=tfidf", "data=onet", f"env={python}")
    assert done.returncode == 1
    assert said in done.stderr


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["--recipe", "tfidf"], "recipe=tfidf"),
        (["--recipe=tfidf"], "recipe=tfidf"),
        (["-recipe=tfidf"], "recipe=tfidf"),
        (["recipe", "tfidf"], "recipe=tfidf"),
        (["--Recipe", "tfidf"], "recipe=tfidf"),
        (["+recipe", "tfidf"], "recipe=tfidf"),
        (["seed", "=", "3", "recipe=tfidf"], "seed=3 recipe=tfidf"),
        (["--out=x"], "outputs=x"),
        (["recipe=", "tfidf"], "recipe=tfidf"),
        (["recipe", "=", "tfidf"], "recipe=tfidf"),
        (["recipe:tfidf"], "recipe=tfidf"),
        (["tfidf", "seed=1"], "recipe=tfidf seed=1"),
        (["--data", "csv", "--text", "title", "--train=a b.csv"], "data=csv data.text=title 'data.train=a b.csv'"),
        (["--epochs", "3", "recipe=torch"], "train.epochs=3 recipe=torch"),
        (["--learning-rate=1e-4"], "recipe.learning_rate=1e-4"),
        (["--rerun", "recipe=tfidf"], "rerun=true recipe=tfidf"),
        (["-m", "--recipe", "tfidf,torch"], "-m recipe=tfidf,torch"),
        (["--placement.processes", "2"], "placement.processes=2"),
        (["seed"], "seed=VALUE"),
    ],
)
def test_a_key_typed_as_an_option_is_answered_with_the_word_that_was_meant(cli, tmp_path, words, meant):
    done = cli(*words)
    assert done.returncode == 2
    assert f"Meant is probably: python train.py outputs={tmp_path / 'outputs'} {meant}\n" in done.stderr.replace(
        f"train.py -m outputs={tmp_path / 'outputs'} ", f"train.py outputs={tmp_path / 'outputs'} -m "
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--helpp"], "'--help'"),
        (["help"], "'--help'"),
        (["--foo"], "neither KEY=VALUE nor"),
        (["recipe=tfidf", "3"], "3: neither"),
        (["train", "epochs=3"], "train: neither"),
    ],
)
def test_a_word_that_means_nothing_is_told(cli, words, said):
    done = cli(*words)
    assert (done.returncode, done.stderr.startswith("error: ")) == (2, True)
    assert said in done.stderr


@pytest.mark.parametrize("words", [["-c", "job"], ["-cjob"], ["--cf=job"], ["--cfg", "job", "--resolve", "-p", "seed"]])
def test_hydra_s_own_options_are_left_to_it(cli, words):
    done = cli(*words)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_the_reader_of_our_output_may_go(tmp_path):
    command = f"{sys.executable} {ROOT}/scripts/environments.py | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
