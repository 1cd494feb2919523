"""Using a trained model: a file predicted, cut off and gone on with."""

import csv
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from support import ROOT, Runs, gone

from harness.predict import CHUNK
from recipes.job import Split

ROWS = 3 * CHUNK + 10


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Small finished runs: a network in full precision, and one that takes texts."""
    runs = Runs(tmp_path_factory.mktemp("runs"))
    runs.run("-m", "recipe=torch,tfidf", "precision=fp32")
    return {folder.name.partition("-")[0]: folder for folder in runs.folders()}


def expected(folder):
    """Return the texts of the test split, and the labels that the run predicted for them."""
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    logits = np.load(folder / "predictions_test.npz")["logits"]
    split = Split("test", Path(job["splits"]["test"]["data"]))
    return [split.text(row) for row in range(len(split))], [job["labels"][best] for best in logits.argmax(1)]


def postings(folder, place):
    """Write a file as Excel does, with more rows than a chunk holds: the test split again and again, one row empty."""
    texts, labels = expected(folder)
    path = place / "offres.csv"
    with open(path, "w", encoding="cp1252", newline="") as handle:
        writer = csv.writer(handle, delimiter=";")
        writer.writerow(["intitulé", "ville", "n°"])
        for row in range(ROWS):
            writer.writerow(["" if row == 7 else texts[row % len(texts)], 'Orléans; "Nord"', f"{row:05}"])
    return path, ["" if row == 7 else labels[row % len(labels)] for row in range(ROWS)]


def predict(folder, path, out, *words):
    script = [sys.executable, str(ROOT / "scripts" / "predict.py"), str(folder), "--file", str(path)]
    command = [*script, "--text", "intitulé", "--out", str(out), *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def told(process, code=0):
    said, _ = process.communicate(timeout=300)
    assert process.returncode == code, said
    assert "Traceback" not in said
    return said


def rows_of(out):
    with open(out, encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle, delimiter=";"))


def cut_off(process, out, chunks, signal_number):
    """Send a signal when so many chunks of 25 classes are done; see that no worker is left."""
    done, end = out.parent / f".{out.name}.predicting" / "logits.bin", time.monotonic() + 120
    while not done.exists() or done.stat().st_size < 4 * 25 * chunks * CHUNK:
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < end
        time.sleep(0.01)
    process.send_signal(signal_number)
    assert gone(out.parent), "a worker outlived its parent"


def test_a_file_is_predicted_and_gone_on_with_to_the_byte(trained, tmp_path):
    path, labels = postings(trained["torch"], tmp_path)
    whole, cut = tmp_path / "whole.csv", tmp_path / "cut.csv"
    assert "offres.csv was read as cp1252" in told(predict(trained["torch"], path, whole))
    process = predict(trained["torch"], path, cut)
    cut_off(process, cut, 1, signal.SIGKILL)
    process.communicate()
    process = predict(trained["torch"], path, cut)
    cut_off(process, cut, 2, signal.SIGINT)
    assert told(process, 130).endswith("interrupted\n")
    said = told(predict(trained["torch"], path, cut))
    assert f"going on after {2 * CHUNK:,} of {ROWS:,} rows" in said
    assert "without text, so without label: row 8" in said
    assert cut.read_bytes() == whole.read_bytes()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["cut.csv", "offres.csv", "whole.csv"]
    rows = rows_of(whole)
    assert [row["label"] for row in rows] == labels
    assert [(row["ville"], row["n°"]) for row in rows] == [('Orléans; "Nord"', f"{row:05}") for row in range(ROWS)]


def test_a_recipe_that_takes_texts_gives_each_class_its_probability(trained, tmp_path):
    path, labels = postings(trained["tfidf"], tmp_path)
    out = tmp_path / "out.csv"
    told(predict(trained["tfidf"], path, out, "--all", "--prefix", "predicted_"))
    rows = rows_of(out)
    assert [row["predicted_label"] for row in rows] == labels
    for row in rows[:7]:
        shares = {name: float(value) for name, value in row.items() if name.startswith("predicted_probability_")}
        assert max(shares, key=shares.get) == f"predicted_probability_{row['predicted_label']}"
        assert abs(sum(shares.values()) - 1) < 1e-4
