"""Checkpoints that plain scripts of the libraries leave, converted through the command line, read by transformers."""

import json
import subprocess

import pytest
from support import ROOT, script

from harness.base import environments

PLAIN = ROOT / "tests" / "plain"
AGREE = 1e-5  # of a hidden state or a logit


def made(folder, program, environment, *words):
    """Run a plain script of a library; return its folder."""
    folder.mkdir()
    command = [environments.ensure(environment).python, PLAIN / program, folder, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def converted(*words):
    done = subprocess.run(script("scripts/convert.py", *words), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stderr


def read_again(folder, seen):
    """Return what transformers says of a folder, and check that it computes what the library did."""
    command = [environments.ensure("hf_trainer").python, PLAIN / "read_again.py", folder, seen]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    assert told["hidden"] <= AGREE
    assert told.get("logits", 0) <= AGREE
    return told


def test_fairseq_s_own_commands(tmp_path):
    plain = made(tmp_path / "plain", "fairseq_roberta.py", "fairseq")
    said = converted("fairseq", plain / "checkpoints" / "checkpoint_last.pt", tmp_path / "folder")
    told = read_again(tmp_path / "folder", plain / "seen.npz")
    assert told["class"] == "RobertaForSequenceClassification"
    assert "logits" in told
    assert "encoder.lm_head" in said


@pytest.mark.parametrize("kind", ["bert", "roberta"])
def test_a_classifier_of_gluonnlp(tmp_path, kind):
    plain = made(tmp_path / "plain", "mxnet_bert.py", "mxnet", kind)
    vocabulary = ["--vocabulary", plain / "bert.vocab"] if kind == "bert" else []
    converted("mxnet", plain / "model.params", tmp_path / "folder", "--heads", "4", *vocabulary)
    told = read_again(tmp_path / "folder", plain / "seen.npz")
    assert told["class"] == f"{kind.title()}ForSequenceClassification"
    assert "logits" in told
    assert ("tokens" in told) is (kind == "bert")


def test_a_loop_of_trax(tmp_path):
    plain = made(tmp_path / "plain", "trax_bert.py", "trax")
    for number, given in enumerate(("loop", "loop/model.weights.npy.gz", "saved.pkl.gz")):
        converted("trax", plain / given, tmp_path / f"folder{number}")
        told = read_again(tmp_path / f"folder{number}", plain / "seen.npz")
        assert told["class"] == "BertForSequenceClassification"
        assert "logits" in told


def test_a_bert_in_sonnet_s_modules_and_one_with_names_of_one_s_own(tmp_path):
    plain = made(tmp_path / "plain", "sonnet_bert.py", "tensorflow")
    said = converted("sonnet", plain, tmp_path / "folder", "--heads", "4")
    assert read_again(tmp_path / "folder", plain / "seen.npz")["class"] == "BertModel"
    assert "head/w" in said, "it is told what is left out"
    own = made(tmp_path / "own", "sonnet_bert.py", "tensorflow", "own")
    refused = subprocess.run(
        script("scripts/convert.py", "sonnet", own, tmp_path / "again", "--like", tmp_path / "folder"),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert refused.returncode == 1
    assert "--names" in refused.stderr
    (tmp_path / "names.json").write_text(json.dumps(names_of_one_s_own()), encoding="utf-8")
    words = ["--like", tmp_path / "folder", "--names", tmp_path / "names.json"]
    converted("sonnet", own, tmp_path / "again", *words)
    assert read_again(tmp_path / "again", own / "seen.npz")["class"] == "BertModel"
    first, second = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("folder", "again"))
    assert first == second


def names_of_one_s_own():
    """Return the table of the example in docs/leaving.md, which is that of tests/plain/sonnet_bert.py OWN."""
    text = (ROOT / "docs" / "leaving.md").read_text(encoding="utf-8")
    return json.loads(text.partition("```json names.json\n")[2].partition("```")[0])
