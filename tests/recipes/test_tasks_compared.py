"""Results of texts with several labels beside those of one: compared, chosen from, kept in small."""

import re
import subprocess
import sys

import numpy as np
import pytest
from support import ROOT, Runs

from harness.results import reading, small

TEXTS = {"cook in a hotel": "food;hotel", "night nurse": "care", "porter at the door": "", "pastry chef": "food"}


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """Return the runs of two settings with two seeds of each task, and what the sweeps of several labels said."""
    folder = tmp_path_factory.mktemp("tasks")
    rows = [(f"{text} {n}", labels) for n in range(150) for text, labels in TEXTS.items()]
    rows = [(text, labels if n % 7 else "care") for n, (text, labels) in enumerate(rows)]  # some are not to be learnt
    (folder / "one.csv").write_text("text,label\n" + "".join(f"{text},{labels or 'none'}\n" for text, labels in rows))
    (folder / "several.csv").write_text("text,label\n" + "".join(f"{text},{labels}\n" for text, labels in rows))
    runs, said = Runs(folder / "outputs"), ""
    words = ["-m", "recipe=tfidf", "seed=0,1", "data=csv", "data.text=text", "data.label=label"]
    for own in ([], ["recipe.C=0.01"]):
        runs.run(*words, *own, f"data.train={folder / 'one.csv'}")
        said += runs.run(*words, *own, f"data.train={folder / 'several.csv'}", "data.label_separator=';'")
    return runs, said


def script(name, *words):
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / name, *map(str, words)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_two_tasks_are_two_tables_each_with_its_figures(swept):
    runs, said = swept
    assert "macro-F1" in said[said.rindex("\nrun ") :]
    assert "micro-F1" in said
    told = script("compare.py", "--outputs", runs.outputs)
    one, several = told.split("\ncsv, ")[1:]
    if "multilabel" not in several.partition("\n")[0]:
        one, several = several, one
    assert several.startswith("multilabel, native")
    assert "test micro-F1" in several
    assert "test accuracy" in one
    assert "multilabel" not in one
    for table in (one, several):
        assert re.search(r"tfidf – tfidf C=0.01 +2 ", table)
        assert "Failed runs are counted: 0 of 4" in table
    assert "multilabel" not in script("compare.py", "--outputs", runs.outputs, "task=classification")


def test_the_figures_of_several_labels_are_those_of_its_rows_and_the_small_form_gives_the_same(swept, tmp_path):
    runs, _ = swept
    found = [one for one in reading.read(runs.outputs) if one.task == "multilabel"]
    for one in found:
        labels, answers = one.predictions()
        assert (labels.shape, answers.shape, labels.dtype) == ((100, 3), (100, 3), np.uint8)
        exact = (labels == answers).all(1).mean()
        assert one.row["test.exact_match"] == pytest.approx(exact)
        small.keep(one, tmp_path / "reference")
    told = [script("compare.py", "--outputs", place, "task=multilabel").partition("\n")[2]
            for place in (runs.outputs, tmp_path / "reference")]  # fmt: skip
    assert told[0] == told[1]
    kept = reading.read(tmp_path / "reference")
    assert {tuple(one.classes) for one in kept} == {("care", "food", "hotel")}


def test_the_page_shows_each_label_and_no_confusion(swept, tmp_path):
    runs, _ = swept
    words = ["--outputs", runs.outputs, "task=multilabel", "--out", tmp_path / "page.html", "--pictures", tmp_path]
    script("compare.py", *words)
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "F1 of each label of the test split" in page
    assert not list(tmp_path.glob("*confusion*"))
    assert list(tmp_path.glob("*classes.svg"))


def test_the_choice_goes_by_the_task_asked_for(swept):
    runs, _ = swept
    told = script("choose.py", "--results", runs.outputs, "--task", "multilabel")
    assert "csv, multilabel, native" in told
    assert "python train.py recipe=tfidf data=csv task=multilabel" in told
    assert "--task multilabel" in script("choose.py", "--results", runs.outputs)
