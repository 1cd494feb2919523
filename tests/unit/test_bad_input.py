"""Bad data and bad weights, through the command line: one message, exit code 1, no traceback, no result."""

import shutil
from pathlib import Path

import pytest
import yaml
from support import ROOT

from harness.base import packages

ROWS = "text,label\n" + "".join(f"nurse {n},care\nwelder {n},metal\n" for n in range(20))

CASES = {
    "a column that is missing": (ROWS, ["data.label=category"], ["`category`", "`text`, `label`"]),
    "one class only": (ROWS.replace("metal", "care"), [], ["one class", "care"]),
    "an empty cell": (ROWS.replace("welder 7,", ","), [], ["16"]),
    "rows of other lengths": (ROWS + "a,b,c\n", [], ["41"]),
    "no rows": ("text,label\n", [], ["no rows"]),
    "nothing at all": ("", [], ["empty"]),
    "fewer rows than classes": ("text,label\n" + "".join(f"t{n},l{n}\n" for n in range(9)), [], ["class"]),
    "broken UTF-8": (ROWS.replace("nurse", "né").encode() + b"caf\xe9 \xff,care\n", [], ["line 42", "utf-8"]),
    "a spreadsheet": (b"PK\x03\x04" + b"\0" * 100, [], ["Excel"]),
    "a page": (b"<!DOCTYPE html><html>text,label</html>", [], ["HTML"]),
    "a size that leaves nothing": (ROWS, ["data.valid_size=30", "data.test_size=10"], ["leaves none for train"]),
}


@pytest.mark.parametrize("case", CASES)
def test_unusable_data_is_told(cli, tmp_path, case):
    content, words, said = CASES[case]
    file = tmp_path / "jobs.csv"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    done = cli("recipe=tfidf", "data=csv", f"data.train={file}", "data.text=text", "data.label=label", *words)
    assert done.returncode == 1, done.stderr
    error = done.stderr[done.stderr.index("error: ") :]
    assert "jobs.csv" in error
    for text in said:
        assert text in error
    assert not (tmp_path / "outputs").exists()


def test_a_label_that_only_test_has_is_told(cli, tmp_path):
    (tmp_path / "train.csv").write_text(ROWS)
    (tmp_path / "test.csv").write_text("text,label\nbaker,food\nnurse,care\n")
    files = [f"data.train={tmp_path}/train.csv", f"data.test={tmp_path}/test.csv"]
    done = cli("recipe=tfidf", "data=csv", *files, "data.text=text", "data.label=label")
    assert done.returncode == 1
    assert "`food`" in done.stderr
    assert "test.csv" in done.stderr


def test_contradictory_settings_are_a_wrong_command_line(cli, tmp_path):
    (tmp_path / "jobs.csv").write_text(ROWS)
    words = ["recipe=tfidf", "data=csv", f"data.train={tmp_path}/jobs.csv", "data.label=label"]
    for more, said in (
        (["data.text=[text,label]"], "data.text=[text,label] has the column of data.label=label"),
        (["data.text=text", f"data.test={tmp_path}/jobs.csv"], "data.train and data.test are the same"),
        (["data.text=text", "data.sheet=2026"], "data.sheet=2026: "),
    ):
        done = cli(*words, *more)
        assert done.returncode == 2, done.stderr
        assert f"error: {said}" in done.stderr
        assert not (tmp_path / "outputs").exists()


def test_words_for_nothing_as_hydra_reads_them(cli, tmp_path):
    (tmp_path / "jobs.csv").write_text(ROWS + "idle,null\nbusy,nan\nlazy,None\nfast,N/A\nslow,#N/A\nlate,-\n")
    words = ["recipe=tfidf", "data=csv", f"data.train={tmp_path}/jobs.csv", "data.text=text", "data.label=label"]
    done = cli(*words, "data.missing=[null,nan,None,N/A,#N/A,-]")
    assert done.returncode == 1
    for row, word in enumerate(("null", "nan", "None", "N/A", "#N/A", "-"), 41):
        assert f"an empty label (`{word}`): row {row}\n" in done.stderr


@pytest.fixture
def minilm(tmp_path) -> Path:
    """Copy the real weights."""
    config = yaml.safe_load((ROOT / "conf" / "model" / "minilm.yaml").read_text(encoding="utf-8"))
    weights = packages.carried(config["package"], f"{config['package_folder']}/model.safetensors", config["sha256"])
    folder = tmp_path / "minilm"
    folder.mkdir()
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        shutil.copy(weights.parent / name, folder / name)
    return folder


def test_a_wrong_checksum_is_told(cli, minilm):
    with open(minilm / "model.safetensors", "r+b") as weights:
        weights.seek(-1, 2)
        weights.write(b"\x7f")
    done = cli("data=onet", f"model.path={minilm}")
    assert done.returncode == 1
    assert "error: wrong checksum" in done.stderr


def test_half_a_weight_file_is_told(cli, minilm):
    with open(minilm / "model.safetensors", "r+b") as weights:
        weights.truncate(45_000_000)
    done = cli("data=onet", "model=path", f"model.path={minilm}")
    assert done.returncode == 1
    assert "error: not a whole safetensors file" in done.stderr
    assert "45,000,000 bytes" in done.stderr


def test_more_tokens_than_the_model_takes_is_told(cli, minilm):
    done = cli("data=onet", f"model.path={minilm}", "data.max_length=513")
    assert done.returncode == 2
    assert "data.max_length=513" in done.stderr
    assert "512" in done.stderr
