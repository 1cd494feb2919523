"""outputs/reference/: a run in small says what the whole one does, and the page says what those here do."""

import importlib.util
import re
import subprocess
import sys

import numpy as np
import pytest
from results_support import known, row, write
from sklearn.metrics import f1_score
from support import ROOT

from harness.results import reading, small
from harness.results.compare import sections
from harness.results.compare.analysis import analyse

LABELS, PREDICTED = np.array([0, 1, 2, 1, 0]), np.array([0, 1, 1, 2, 0])
KEPT = reading.read(reading.REFERENCE)


@pytest.fixture
def reference():
    """Load scripts/reference.py, which is no package."""
    spec = importlib.util.spec_from_file_location("reference", ROOT / "scripts" / "reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_run_in_small_says_what_the_whole_one_does(tmp_path):
    splits = {"valid": (LABELS, LABELS), "test": (LABELS, PREDICTED)}
    whole = reading.read(write(tmp_path / "outputs", row("torch", 3), **splits))[0]
    for _ in range(2):  # over what is there
        folder = small.keep(whole, tmp_path / "reference")
    (kept,) = reading.read(tmp_path / "reference")
    assert kept.folder == folder == tmp_path / "reference" / "job_titles" / whole.folder.name
    assert (kept.row, kept.group, kept.classes, kept.curve) == (whole.row, whole.group, whole.classes, whole.curve)
    for split in splits:
        for ours, theirs in zip(kept.predictions(split), whole.predictions(split), strict=True):
            np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_allclose(kept.latencies[1], whole.latencies[1], rtol=1e-6)
    assert not [path for path in folder.iterdir() if path.suffix not in (".json", ".npz", ".csv")]


def test_only_the_runs_of_the_declared_words_are_kept(reference, tmp_path, monkeypatch):
    monkeypatch.setattr(reference, "ROOT", tmp_path)
    words = ["data=job_titles", *reference.DATA["job_titles"], *reference.SHARED]
    write(tmp_path / "outputs", row("torch", 0, words=[*words, "protocol=native"]), test=(LABELS, LABELS))
    write(tmp_path / "outputs", row("torch", 1, words=[*words, "rerun=true"]), test=(LABELS, LABELS))
    write(tmp_path / "outputs", row("torch", 2, words=[*words, "train.epochs=1"]), test=(LABELS, LABELS))
    write(tmp_path / "outputs", row("torch", 3, words=words[:-1]), test=(LABELS, LABELS))
    write(tmp_path / "outputs", row("torch", 4, words=words, status="failed"), test=(LABELS, LABELS))
    assert [one.row["seed"] for one in reference.made("job_titles")] == [0, 1]
    assert list(reference.made("onet")) == []


def test_a_recipe_with_epochs_of_its_own_is_kept_with_them_and_swept_on_its_data(reference, tmp_path, monkeypatch):
    monkeypatch.setattr(reference, "ROOT", tmp_path)
    words = ["data=job_titles", *reference.DATA["job_titles"], *reference.SHARED]
    own = reference.OWN["torchvision"]
    write(tmp_path / "outputs", row("torchvision", 0, words=[*words, *own]), test=(LABELS, LABELS))
    write(tmp_path / "outputs", row("torchvision", 1, words=words), test=(LABELS, LABELS))
    assert [one.row["seed"] for one in reference.made("job_titles")] == [0]
    for name in reference.DATA:
        of = [words for words in reference.sweeps(name, []) if "recipe=torchvision" in words]
        assert [set(own) <= set(words) for words in of] == [True] * (name == "job_titles")
    one, other = reference.sweeps("job_titles", ["recipe=mxnet,torchvision", "seed=0"])
    assert {"recipe=torchvision", *own, "seed=0"} <= set(one)
    assert {"recipe=mxnet", "protocol=native,controlled"} <= set(other)
    assert not set(own) & set(other)


def test_runs_made_anew_of_other_code_take_the_place_of_those_before(reference, tmp_path, monkeypatch):
    monkeypatch.setattr(reference, "ROOT", tmp_path)
    words = ["data=job_titles", *reference.DATA["job_titles"], *reference.SHARED]
    rows, splits = (
        [row("torch", seed, words=words) for seed in (0, 1)],
        dict.fromkeys(("valid", "test"), (LABELS, LABELS)),
    )
    for made in (*rows, row("flair", 0, words=words), row("torch", 0)):
        write(tmp_path / "kept", made, small=True, **splits)
    for code, ended in (("a", "2026-01-01T00:00:00+00:00"), ("b", "2026-02-01T00:00:00+00:00")):
        made = known(row("torch", 0, words=[*words, f"data.path={code}"]), code=code * 12, ended=ended)
        write(tmp_path / "outputs", made, **splits)
    (newest,) = reference.made("job_titles")
    assert newest.row["code_digest"] == "b" * 12
    kept = small.keep(newest, tmp_path / "kept")
    reference.replace([kept], tmp_path / "kept")
    left = [(one.row["recipe"], one.row["seed"], one.row["schema"]) for one in reading.read(tmp_path / "kept")]
    assert sorted(left) == [("flair", 0, 1), ("torch", 0, 2), ("torch", 1, 1)]
    again = next(one for one in reading.read(tmp_path / "kept") if one.row["schema"] == 2)
    assert again.row == newest.row, "what it is stays with it"


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("nosuch", "nosuch: there are reference results of job_titles, skillspan, onet"),
        ("train.epochs=9", "train.epochs=9: the reference results are what they are but for data.path, protocol"),
    ],
)
def test_what_is_not_among_them_is_told_before_anything_is_run(word, said):
    command = [sys.executable, ROOT / "scripts" / "reference.py", word]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert said in done.stderr


@pytest.mark.parametrize("one", KEPT, ids=lambda one: f"{one.row['data']}/{one.folder.name}")
def test_a_reference_result_is_whole_and_names_no_place(one):
    assert one.timed
    assert one.row["log"] is None
    assert not re.search(r"=~?/|outputs=", one.row["command"])
    for split in ("valid", "test"):
        labels, predicted = one.predictions(split)
        score = f1_score(labels, predicted, average="macro", zero_division=0)
        assert one.row[f"{split}.macro_f1"] == pytest.approx(score)
    assert set(one.latencies) == {1, 32}
    assert len(one.classes) == labels.max() + 1
    assert sum(path.stat().st_size for path in one.folder.iterdir()) < 50_000


def test_the_page_has_the_figures_of_the_reference_results():
    page = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    for group in analyse(KEPT, pairs=False):
        assert f"## {group.group.title}\n" in page
        for line in sections.figures(group, 5).rows:
            assert f"| {' | '.join(line)} |" in page
    for picture in re.findall(r"\]\((results/.+?)\)", page):
        assert (ROOT / "docs" / picture).stat().st_size > 1000
