"""The tasks beside classification, with the real libraries: the losses of the reference, and what a run is good for."""

import csv
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support import REAL, ROOT, TASKED, THOROUGH, CutOff, Forked, by_card, hold, killed_in, others

from harness.use.parity import ROWS
from recipes.contract.split import Split

HALVES = [f"train.batch_size={ROWS // 2}", "train.accumulate=2"]


def of_task(*tasks):
    return [words for words in TASKED if words.rpartition("=")[2] in tasks]


@pytest.mark.parametrize("words", of_task("multilabel"))
def test_several_labels_have_the_reference_s_losses(words, tmp_path, titles_with_labels, references):
    """With the real weights, in steps of two batches each."""
    *recipe, _ = words.split()
    hold(Forked(tmp_path, [*titles_with_labels, *HALVES], references).lines(recipe, repeated=False))


@pytest.mark.parametrize("words", of_task("tagging", "regression"))
@pytest.mark.parametrize("kind", [Forked, pytest.param(CutOff, marks=THOROUGH)])
def test_tags_and_numbers_have_the_reference_s_losses(kind, words, tmp_path, data_of, small_network, references):
    """With a small network, in steps of two batches each.

    Tags are of windows, in words of several tokens of XLM-R's vocabulary; numbers are of CamemBERT's first token: what
    tests/recipes/test_parity.py has of the two in classification.
    """
    *recipe, task = words.split()
    architecture, *pooling = {"task=tagging": ["e5"], "task=regression": ["camembert", "model.pooling=cls"]}[task]
    model = ["model=path", f"model.path={small_network(architecture)}", *pooling]
    comparison = kind(tmp_path, [*data_of(task.partition("=")[2]), *model, *HALVES], references)
    hold(comparison.lines(recipe, repeated=False))


def script(name, *words):
    command = [sys.executable, str(ROOT / "scripts" / f"{name}.py"), *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("words", others(of_task("multilabel"), "recipe=hf_trainer task=multilabel"))
def test_several_labels_are_learnt_predicted_and_exported(words, runs, tmp_path, titles_with_labels):
    words = [*words.split(), *titles_with_labels, "data.train_size=1500", "train.epochs=2", "precision=fp32"]
    said = runs.run(*words)
    row = runs.row()
    (folder,) = runs.folders()
    assert (row["task"], row["test.rows"]) == ("multilabel", 100)
    assert row["test.micro_f1"] > 0.3, said
    assert row["test.exact_match"] < row["test.micro_f1"]
    labels = json.loads((folder / "job.json").read_text(encoding="utf-8"))["labels"]
    found = np.load(folder / "predictions_test.npz")
    assert found["labels"].shape == found["logits"].shape == (100, len(labels))
    assert (found["labels"].sum(1) == 2).all(), "each title has its group and the one above it"
    check_card(folder, "multilabel")
    assert wrong_rows(folder) == round(row["valid.rows"] * (1 - row["valid.exact_match"]))

    file, out = tmp_path / "titles.csv", tmp_path / "out.csv"
    file.write_text("title\nnight nurse\nwelder\n", encoding="utf-8")
    script("predict", folder, "--file", file, "--text", "title", "--out", out, "--all")
    header, *lines = out.read_text(encoding="utf-8").splitlines()
    assert header.count("probability_") == len(labels)
    assert len(lines) == 2

    script("export", folder, "--format", "onnx")
    (after,) = (json.loads((one / "result.json").read_text(encoding="utf-8")) for one in runs.folders())
    assert after["onnx.max_difference"] <= 1e-4
    assert after["onnx.test.micro_f1"] == after["test.micro_f1"]


def check_card(folder, task):
    """See that the lines of the model's card answer as scripts/predict.py does."""
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    split = Split("test", Path(job["splits"]["test"]["data"]))
    texts = [split.text(row) for row in range(20)]
    answers = by_card(folder, texts)["answers"]
    said = [block.split("\n  ") for block in re.split(r"\n(?=\S)", script("predict", folder, *texts).rstrip())]
    assert [one[0] for one in said] == texts
    for answer, (_, *lines) in zip(answers, said, strict=True):
        if task == "regression":
            assert answer == pytest.approx(float(lines[0].rpartition(": ")[2]), rel=1e-4)
        elif task == "multilabel":
            assert set(answer) == {line.partition("  ")[2] for line in lines} - {""}
        else:
            before = [("", "O"), *answer]  # a tag that goes on with no span begins one
            begun = [word for (word, tag), (_, last) in zip(answer, before, strict=False)
                     if tag != "O" and (tag[0] == "B" or last[1:] != tag[1:])]  # fmt: skip
            spans = [line.partition(": ")[2] for line in lines if ": " in line]
            assert len(spans) == len(begun)
            assert all(span.startswith(word) for span, word in zip(spans, begun, strict=True))


def wrong_rows(folder):
    """Return how many rows errors.csv has."""
    with open(folder / "errors.csv", encoding="utf-8", newline="") as handle:
        return len(list(csv.DictReader(handle)))


LEARNT = {"tagging": ("span_f1", 0.5), "regression": ("r2", 0.3)}  # a figure, and what it is at least


@pytest.mark.parametrize("words", others(of_task(*LEARNT), *(f"recipe=hf_trainer task={task}" for task in LEARNT)))
def test_spans_and_numbers_are_learnt_and_exported(words, runs, data_of):
    *recipe, task = words.split()
    task = task.partition("=")[2]
    figure, least = LEARNT[task]
    epochs = 4 if recipe == ["recipe=fastai"] else 2  # the first of fastai's is the head's alone
    said = runs.run(*recipe, *data_of(task), f"train.epochs={epochs}", "train.batch_size=8", "precision=fp32")
    row, (folder,) = runs.row(), runs.folders()
    assert (row["task"], row["reload.max_difference"]) == (task, 0)
    assert row[f"test.{figure}"] > least, said
    found, outputs = np.load(folder / "predictions_test.npz"), 1 if task == "regression" else 5
    assert found["logits"].shape == (len(found["labels"]), outputs)
    assert np.isfinite(found["logits"]).all()
    check_card(folder, task)
    if task == "tagging":  # of windows: the texts whose spans are not all said, and no other
        counted = np.load(folder / "counted_valid.npz")
        both, said_spans = np.moveaxis(counted["predicted"], 1, 0)
        assert wrong_rows(folder) == ((counted["labels"] != both) | (said_spans != both)).any(1).sum()

    script("export", folder, "--format", "onnx")
    (after,) = (json.loads((one / "result.json").read_text(encoding="utf-8")) for one in runs.folders())
    assert after["onnx.max_difference"] <= 1e-4
    assert after[f"onnx.test.{figure}"] == pytest.approx(after[f"test.{figure}"], abs=1e-6)


@pytest.mark.parametrize(("recipe", "task"), [("crf", "tagging"), ("tfidf", "regression")])
def test_the_baselines_are_killed_repeated_to_the_bit_and_read_again(recipe, task, runs, tmp_path, data_of):
    words = [f"recipe={recipe}", *data_of(task)]
    for phase in ("train", "save"):
        killed_in(phase, runs, words, tmp_path)
    said = runs.run(*words, **REAL)
    row, (folder,) = runs.row(), runs.folders()
    figure, least = LEARNT[task]
    assert row[f"test.{figure}"] > least, said
    assert row["reload.max_difference"] == 0
    first = np.load(folder / "predictions_test.npz")["logits"]
    assert np.isfinite(first).all()
    runs.run(*words, "rerun=true")
    np.testing.assert_array_equal(np.load(folder / "predictions_test.npz")["logits"], first)


@pytest.mark.parametrize("labels", [["CDI", "CDI;nuit"], ["", "nuit"]], ids=["one that all texts have", "one alone"])
def test_labels_at_the_edges_are_learnt_saved_and_loaded(labels, runs, tmp_path):
    lines = [f"{('infirmier de jour', 'veilleur de nuit')[row % 2]} {row},{labels[row % 2]}" for row in range(60)]
    (tmp_path / "offres.csv").write_text("\n".join(["titre,contrat", *lines]), encoding="utf-8")
    data = ["data=csv", f"data.train={tmp_path}/offres.csv", "data.text=titre", "data.label=contrat"]
    sizes = ["data.train_size=null", "data.valid_size=10", "data.test_size=10"]
    said = runs.run("recipe=tfidf", *data, "data.label_separator=';'", *sizes)
    assert ("all texts have `CDI`" in said) == ("CDI" in labels)
    row = runs.row()
    assert (row["test.micro_f1"], row["reload.max_difference"]) == (1, 0)
