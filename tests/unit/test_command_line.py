"""The command line: help, every shipped choice, and what is said of a wrong one. All through train.py itself."""

import pytest
from support import ROOT

CHOICES = [
    (group.name, choice.stem)
    for group in sorted((ROOT / "conf").iterdir())
    if group.is_dir() and group.name != "hydra"
    for choice in sorted(group.glob("*.yaml"))
]


@pytest.mark.parametrize(("group", "choice"), CHOICES)
def test_every_shipped_choice_composes_and_is_named_as_its_file(cli, group, choice):
    done = cli(f"{group}={choice}", "--cfg", "job", "--package", group)
    assert done.returncode == 0, done.stderr
    assert f"name: {choice}\n" in done.stdout


def test_help_lists_groups_choices_and_five_examples(cli):
    text = cli("--help").stdout
    for group, choice in CHOICES:
        assert choice in text.split(f"\n{group}: ")[1].splitlines()[0]
    examples = text.split("Examples:")[1].split("\n\n")[0]
    assert examples.count("python train.py") == 5


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
        (["data.max_length=1.5"], ["data.max_length=1.5", "whole number"]),
        (["model.pooling=max"], ["model.pooling=max", "mean", "cls"]),
        (["model=path"], ["model.path"]),
        (["seed"], ["seed"]),
        (["recipe=["], ["'['"]),
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
