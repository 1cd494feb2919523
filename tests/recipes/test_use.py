"""Using a trained model: a file predicted, cut off and gone on with; the model exported to ONNX and read again."""

import csv
import importlib.util
import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from support import LIBRARIES, REAL, RECIPES, ROOT, gone, others, script

from harness.base import environments
from harness.use.predict import CHUNK
from recipes.contract.split import Split

ROWS = 3 * CHUNK + 10


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


def predict(folder, path, out, *words, **variables):
    command = script("scripts/predict.py", folder, "--file", path, "--text", "intitulé", "--out", out, *words)
    environment = {**os.environ, **variables}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)


def told(process, code=0):
    said, _ = process.communicate(timeout=300)
    assert process.returncode == code, said
    assert "Traceback" not in said
    return said


def rows_of(out):
    with open(out, encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle, delimiter=";"))


def cut_off(process, out, chunks, signal_number):
    """Send a signal when so many chunks are done; see that no worker is left."""
    done, end = out.parent / f".{out.name}.predicting" / "answers.jsonl", time.monotonic() + 120
    while not done.exists() or done.read_bytes().count(b"\n") < chunks * CHUNK:
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < end
        time.sleep(0.01)
    process.send_signal(signal_number)
    assert gone(out.parent), "a worker outlived its parent"


def test_a_file_is_predicted_and_gone_on_with_to_the_byte(finished, tmp_path):
    folder = finished("torch")
    path, labels = postings(folder, tmp_path)
    whole, cut = tmp_path / "whole.csv", tmp_path / "cut.csv"
    assert "offres.csv was read as cp1252" in told(predict(folder, path, whole))
    process = predict(folder, path, cut, **REAL)
    cut_off(process, cut, 1, signal.SIGKILL)
    process.communicate()
    process = predict(folder, path, cut)
    cut_off(process, cut, 2, signal.SIGINT)
    assert told(process, 130).endswith("interrupted\n")
    said = told(predict(folder, path, cut))
    assert f"going on after {2 * CHUNK:,} of {ROWS:,} rows" in said
    assert "without text, so without label: row 8" in said
    assert cut.read_bytes() == whole.read_bytes()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["cut.csv", "offres.csv", "whole.csv"]
    rows = rows_of(whole)
    assert [row["label"] for row in rows] == labels
    assert [(row["ville"], row["n°"]) for row in rows] == [('Orléans; "Nord"', f"{row:05}") for row in range(ROWS)]


def test_a_recipe_that_takes_texts_gives_each_class_its_probability(finished, tmp_path):
    folder = finished("tfidf")
    path, labels = postings(folder, tmp_path)
    out = tmp_path / "out.csv"
    told(predict(folder, path, out, "--all", "--prefix", "predicted_"))
    rows = rows_of(out)
    assert [row["predicted_label"] for row in rows] == labels
    for row in rows[:7]:
        shares = {name: float(value) for name, value in row.items() if name.startswith("predicted_probability_")}
        assert max(shares, key=shares.get) == f"predicted_probability_{row['predicted_label']}"
        assert abs(sum(shares.values()) - 1) < 1e-4
    text = "infirmière de nuit"  # where one byte is a character, and where no character has an accent
    for variables, shown in (
        ({"PYTHONIOENCODING": "latin-1"}, text.encode("latin-1")),
        ({"LC_ALL": "C", "PYTHONUTF8": "0"}, b"infirmiere de nuit"),
    ):
        command = script("scripts/predict.py", folder, text)
        done = subprocess.run(command, capture_output=True, env={**os.environ, **variables}, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[0] == shown


def export(folder, *words, code=0, form="onnx"):
    command = script("scripts/export.py", folder, "--format", form, *words)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


AS_DOCUMENTED = """
import json, sys
import numpy
folder, texts = sys.argv[1], json.loads(sys.argv[2])
sys.path.append(sys.argv[4])
exec(sys.argv[3])
assert "torch" not in sys.modules
print(json.dumps(numpy.asarray(logits).tolist()))
"""


def as_documented(folder, python, reader):
    """Predict with an exported model as outputs/README.md says, and hold the logits to those of the run."""
    page = (ROOT / "outputs" / "README.md").read_text(encoding="utf-8")
    (lines,) = [block for block in re.findall(r"^```python\n(.*?)^```$", page, re.M | re.S) if reader in block]
    texts, _ = expected(folder.parent)
    texts = json.dumps([*texts, "cook " * 400])
    tokenizers = Path(importlib.util.find_spec("tokenizers").origin).parent.parent
    command = [python, "-c", AS_DOCUMENTED, folder, texts, lines, tokenizers]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    own = np.load(folder.parent / "predictions_test.npz")["logits"]
    np.testing.assert_allclose(json.loads(done.stdout)[:-1], own, rtol=0, atol=1e-4)


def test_onnx_gives_the_library_s_logits_and_its_figures_go_into_the_result(finished):
    folder = finished("torch")
    before = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    said = export(folder, "--int8")
    assert "of the library's own (0.0001 is allowed)" in said
    after = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    assert before.items() <= after.items()
    assert after["onnx.max_difference"] <= 1e-4
    assert after["onnx_int8.max_difference"] > 1e-4
    for key in ("test.accuracy", "test.macro_f1"):
        assert after[f"onnx.{key}"] == after[key]
        assert abs(after[f"onnx_int8.{key}"] - after[key]) < 0.1
    assert after["onnx_int8.size_mb"] < after["onnx.size_mb"] / 3
    for kind in ("onnx", "onnx_int8"):
        assert 0 < after[f"{kind}.batch1.p50_ms"] <= after[f"{kind}.batch1.p95_ms"]
        assert after[f"{kind}.batch32.texts_per_second"] > 0
    as_documented(folder / "onnx", environments.ensure("onnx").python, "(logits,) = session.run")


READERS = {  # in a block of the page
    "stablehlo": "from jax import export",
    "saved_model": "tensorflow.saved_model",
    "mxnet_symbol": "mxnet.gluon",
}
OWN = [f"{name} {form}" for name in RECIPES for form in READERS if (ROOT / "recipes" / name / f"{form}.py").exists()]


@pytest.mark.parametrize("own", others(OWN, "jax stablehlo", "tensorflow saved_model", "mxnet mxnet_symbol"))
def test_a_library_s_own_format_gives_its_logits_for_any_rows_and_tokens(finished, own):
    recipe, form = own.split()
    folder = finished(recipe)
    before = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    assert "of the library's own (0.0001 is allowed)" in export(folder, form=form)
    after = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    assert before.items() <= after.items()
    assert after[f"{form}.max_difference"] <= 1e-4
    assert after[f"{form}.test.macro_f1"] == after["test.macro_f1"]
    assert after["model.size_mb"] < 1.1 * after[f"{form}.size_mb"] < 1.3 * after["model.size_mb"]
    assert 0 < after[f"{form}.batch1.p50_ms"] <= after[f"{form}.batch1.p95_ms"]
    environment = LIBRARIES[f"recipe={recipe}"].settings["environment"]
    as_documented(folder / form, environments.ensure(environment).python, READERS[form])


def test_what_cannot_be_exported_is_told(finished, tmp_path):
    assert "only one is exported" in export(finished("tfidf"), code=1)
    said = export(finished("torch"), form="stablehlo", code=2)
    assert "recipe=torch does not write StableHLO; --format onnx" in said
    assert "--int8 is of --format onnx" in export(finished("torch"), "--int8", form="saved_model", code=2)
    (tmp_path / "mine.txt").touch()
    assert "nothing is written over" in export(finished("torch"), "--out", str(tmp_path), code=1)
