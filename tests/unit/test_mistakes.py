"""errors.csv: what a run got wrong of each task, the most confident first, and nothing that it got right."""

import csv
import json
from xml.etree import ElementTree

import numpy as np
import pytest
import runs_support

from harness.base.errors import UserError
from harness.figures import mistakes
from harness.results import reading, small
from harness.results.compare import mistakes as of_report
from harness.use import mistakes as of_run
from harness.use import saved as saved_run
from recipes.contract.ragged import Ragged


@pytest.fixture
def found(tmp_path):
    """Write predictions of some texts and what is wrong with them; return the rows of errors.csv."""

    def write(task, texts, names, scale=(0.0, 1.0), words=None, **arrays):
        data = tmp_path / "data"
        data.mkdir()
        Ragged.of([np.frombuffer(text.encode(), np.uint8) for text in texts]).write(data, "texts")
        row_ids = np.arange(len(texts), dtype=np.int64) + 11
        row_ids.tofile(data / "row_ids.bin")
        if words:
            Ragged.of([np.array(one, np.int32) for one in words]).write(data, "words")
        np.savez(tmp_path / "predictions_valid.npz", row_ids=row_ids, **arrays)
        path = mistakes.keep(data, task, names, scale, tmp_path, "valid")
        assert path == tmp_path / "errors.csv"
        with open(path, encoding="utf-8", newline="") as handle:
            return list(csv.DictReader(handle))

    return write


def test_one_label_the_surest_mistake_is_first(found):
    logits = np.array([[2, 0], [0, 3], [0, 1], [0.5, 0]], np.float32)
    rows = found(
        "classification", ["a", 'b, "c"\nd', "c", "é"], ["x", "y"], labels=np.array([0, 0, 0, 1]), logits=logits
    )
    assert [one["row"] for one in rows] == ["12", "13", "14"]
    assert rows[0] == {"row": "12", "text": 'b, "c"\nd', "true": "x", "predicted": "y", "probability": "0.952574"}
    assert float(rows[2]["probability"]) == pytest.approx(1 / (1 + np.exp(-0.5)), abs=1e-6)


def test_several_labels_a_set_is_wrong_by_its_surest_label(found):
    labels = np.array([[1, 0, 0], [0, 1, 1], [0, 0, 1]], np.uint8)
    logits = np.array(
        [[2, -2, -2], [-9, -1, 1], [4, -9, -3]], np.float32
    )  # the second misses one, the third has another
    rows = found("multilabel", ["a", "b", "c"], ["x", "y", "z"], labels=labels, logits=logits)
    assert [(one["text"], one["true"], one["predicted"]) for one in rows] == [("c", "z", "x"), ("b", "y; z", "z")]
    said = [float(one["probability"]) for one in rows]
    assert said == [pytest.approx(1 / (1 + np.exp(-4)), abs=1e-6), pytest.approx(1 / (1 + np.exp(-1)), abs=1e-6)]


def test_spans_those_missed_and_those_wrong_stand_beside_each_other(found):
    names = ["B-skill", "I-skill", "O"]
    texts, words = ["Know Python well", "no skill"], [[(0, 4), (5, 11), (12, 16)], [(0, 2), (3, 8)]]
    labels = np.array([2, 0, 2, -100, 2, 2], np.int32)  # a token that bears no tag is none
    said = np.array([[0, 0, 5], [1, 0, 0], [0, 3, 0], [9, 0, 0], [0, 0, 5], [0, 0, 5]], np.float32)
    offsets = np.array([0, 4, 6])
    rows = found("tagging", texts, names, words=words, labels=labels, logits=said, offsets=offsets)
    least = np.exp(1) / (np.exp(1) + 2)
    assert rows == [{"row": "11", "text": texts[0], "true": "skill: Python", "predicted": "skill: Python well",
                     "probability": f"{least:.6f}"}]  # fmt: skip


def test_numbers_all_of_them_in_their_own_unit_the_furthest_first(found):
    labels, said = np.array([0, 1], np.float32), np.array([[0.5], [-1]], np.float32)
    rows = found("regression", ["a", "b"], ["salary"], scale=(100.0, 10.0), labels=labels, logits=said)
    assert rows == [
        {"row": "12", "text": "b", "true": "110.0", "predicted": "90.0", "distance": "20.0"},
        {"row": "11", "text": "a", "true": "100.0", "predicted": "105.0", "distance": "5.0"},
    ]


def test_what_is_all_right_leaves_a_head_alone(found):
    assert found("classification", ["a"], ["x", "y"], labels=np.array([0]), logits=np.array([[1, 0]], np.float32)) == []


FLIPPED = [3, 31, 56]  # texts whose label is another one than they would have


def mislabelled(task):
    """Return predictions of 60 texts by two runs that know the truth, of which some labels say otherwise."""
    draw, rows, names = np.random.default_rng(0), 60, 3
    truth = np.arange(rows) % names
    if task == "multilabel":
        truth = (truth[:, None] == np.arange(names)).astype(np.uint8)
    if task == "tagging":
        truth = np.repeat(truth, 2)
    known = truth.astype(float) if task == "multilabel" else np.eye(names)[truth]
    runs = [(8 * known - 4 + draw.normal(0, 0.5, known.shape)).astype(np.float32) for _ in range(2)]
    labels = truth.copy()
    for row in FLIPPED:
        labels[2 * row if task == "tagging" else row] = np.roll(labels[row], 1) if task == "multilabel" else (
            (truth[2 * row if task == "tagging" else row] + 1) % names
        )  # fmt: skip
    ids = {"row_ids": np.arange(rows) + 100, "labels": labels}
    ids |= {"offsets": np.arange(0, 2 * rows + 1, 2)} if task == "tagging" else {}
    return [{**ids, "logits": logits} for logits in runs]


@pytest.mark.parametrize("task", ["classification", "multilabel", "tagging"])
def test_labels_that_are_likely_wrong_are_those_that_were_changed(task):
    assert sorted(of_report.doubted(task, mislabelled(task))) == [100 + row for row in FLIPPED]


def test_the_report_has_what_went_wrong_folded_and_no_other_form_quotes_a_text(compare, tmp_path):
    folder, (saved, _) = tmp_path / "outputs" / "csv" / "hf_trainer", mislabelled("classification")
    runs_support.write(folder, rows=60)
    np.savez(folder / "predictions_valid.npz", **saved)
    Ragged.of([np.frombuffer(f"text <{row}>".encode(), np.uint8) for row in range(60)]).write(tmp_path, "texts")
    saved["row_ids"].tofile(tmp_path / "row_ids.bin")
    names = runs_support.LABELS["classification"]
    mistakes.keep(tmp_path, "classification", names, (0, 1), folder, "valid")
    written = [tmp_path / f"report{ending}" for ending in (".html", ".md", ".csv", ".tex")]
    said = compare(*(word for path in written for word in ("--out", str(path))))
    page, *others = (path.read_text(encoding="utf-8") for path in written)
    (details,) = ElementTree.fromstring(page).iter("details")
    heads = [one.text for one in details.iter("h3")]
    assert heads == ["Labels of valid that are likely wrong", "hf_trainer, seed 0: what it got wrong, the surest first"]
    for table in details.iter("table"):
        cells = [[cell.text for cell in row] for row in table.iter("tr")][1:]
        assert sorted(row[1] for row in cells) == sorted(f"text <{row}>" for row in FLIPPED)
        assert all(
            row[2] == names[(int(row[0]) - 99) % 3] and row[3] == names[(int(row[0]) - 100) % 3] for row in cells
        )
    assert not any("text <" in text or "text &lt;" in text for text in (said, *others))
    assert details.get("open") is None


def test_results_in_small_have_no_text(tmp_path):
    folder = tmp_path / "outputs" / "csv" / "hf_trainer"
    runs_support.write(folder)
    (folder / "errors.csv").write_text("row,text\n", encoding="utf-8")
    (result,) = reading.read(folder)
    kept = small.keep(result, tmp_path / "reference")
    assert {path.name for path in kept.iterdir()}.isdisjoint({"errors.csv", "errors_test.csv", "model"})


def test_the_mistakes_of_test_are_written_where_they_are_asked_for(tmp_path, monkeypatch):
    folder = tmp_path / "outputs" / "csv" / "hf_trainer"
    made = runs_support.write(folder, rows=30)
    run = saved_run.find(str(folder), tmp_path)
    monkeypatch.setenv("FINETUNE_RECIPES_HOME", str(tmp_path / "home"))
    with pytest.raises(UserError, match="is not prepared on this machine"):
        of_run.written(run, "test")
    data = tmp_path / "home" / "data" / "csv-1" / "test"
    data.mkdir(parents=True)
    (data.parent / "dataset.json").write_text(json.dumps({"digest": made["data_digest"]}), encoding="utf-8")
    Ragged.of([np.frombuffer(b"text", np.uint8)] * 30).write(data, "texts")
    np.arange(30).tofile(data / "row_ids.bin")
    path = of_run.written(run, "test")
    assert path == folder / "errors_test.csv"
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) - 1 == round(30 * (1 - made["test.accuracy"]))
    (folder / "predictions_test.npz").unlink()
    with pytest.raises(UserError, match="has no predictions of test"):
        of_run.written(run, "test")
