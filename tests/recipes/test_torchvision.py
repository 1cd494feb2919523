"""Pictures with torchvision: drawn of texts or read from files, trained on, predicted, exported."""

import csv
import json
import re
import subprocess

import numpy as np
import pytest
from pictures_support import png, scans, striped
from support import REAL, ROOT, Runs, killed_at_checkpoint, script

from harness.base import environments

SMALL = ["recipe=torchvision", "precision=fp32", "recipe.width=128", "train.batch_size=8", "data.train_size=64"]


@pytest.fixture(scope="session")
def python():
    return environments.ensure("torchvision").python


def asked(python, code, *words):
    """Run a few lines in the recipe's own environment; return what they print."""
    done = subprocess.run([python, "-c", code, *map(str, words)], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def predict(folder, *words, code=0):
    done = subprocess.run(script("scripts/predict.py", folder, *words), capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout if not code else " ".join(done.stderr.split())


def export(folder, *words, code=0):
    command = script("scripts/export.py", folder, "--format", "onnx", *words)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    return done.stderr


def documented(folder, paths):
    """Return the labels of pictures by an exported model, as outputs/README.md says."""
    page = (ROOT / "outputs" / "README.md").read_text(encoding="utf-8")
    (lines,) = [
        block for block in re.findall(r"^```python\n(.*?)^```$", page, re.M | re.S) if "for path in paths" in block
    ]
    code = f"import sys\nfolder, *paths = sys.argv[1:]\n{lines}\nassert 'torch' not in sys.modules\n"
    code += "print(*(page['labels'][best] for best in logits.argmax(1)))"
    return asked(environments.ensure("onnx").python, code, folder, *paths).split()


def losses(runs):
    """Return the losses that a run reported, by step."""
    events = map(json.loads, (runs.folders()[0] / "events.jsonl").read_text(encoding="utf-8").splitlines())
    return {event["step"]: event["loss"] for event in events if event["event"] == "step"}


def test_pictures_of_one_s_own_are_learnt_and_files_of_others_predicted(runs, tmp_path):
    folder = scans(tmp_path / "scans", each=40)
    sizes = ["data.train_size=null", "data.valid_size=16", "data.test_size=16", "train.epochs=30"]
    said = runs.run("recipe=torchvision", "data=images", f"data.train={folder}", *sizes, "train.batch_size=16",
                    "recipe.width=64", "recipe.height=32", "recipe.shift=0", "precision=fp32")  # fmt: skip
    row, (run,) = runs.row(), runs.folders()
    assert row["test.accuracy"] == 1, said
    assert (row["model"], row["precision"], row["train.epochs"], row["train.rows"]) == (None, "fp32", 30, 48)
    assert row["reload.max_difference"] == 0
    config = json.loads((run / "model" / "config.json").read_text(encoding="utf-8"))
    assert (config["height"], config["width"], config["first_stride"]) == (32, 64, None), "a picture's letters are wide"

    for name, across in (("quer.png", True), ("senkrecht.png", False)):
        (tmp_path / name).write_bytes(png(striped(across, 50)))
    assert [line.split()[-1] for line in predict(run, tmp_path / "quer.png", tmp_path / "senkrecht.png").splitlines()
            if line.startswith("  ")] == ["across", "down"]  # fmt: skip
    said = predict(run, "night nurse", code=2)
    assert "night nurse is not a picture" in said and "and there is no such file" in said
    (tmp_path / "liste.csv").write_text("scan\nquer.png\nscans/down/007.png\n", encoding="utf-8")
    predict(run, "--file", tmp_path / "liste.csv", "--text", "scan")
    with open(tmp_path / "liste.predicted.csv", encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert [(one["scan"], one["label"]) for one in rows] == [("quer.png", "across"), ("scans/down/007.png", "down")]
    (tmp_path / "fehlt.csv").write_text("scan\nquer.png\nweg.png\n", encoding="utf-8")
    said = predict(run, "--file", tmp_path / "fehlt.csv", "--text", "scan", code=1)
    assert "no picture is there" in said
    assert "row 2" in said

    assert "of the library's own (0.0001 is allowed)" in export(run)
    after = json.loads((run / "result.json").read_text(encoding="utf-8"))
    assert (after["onnx.test.accuracy"], after["onnx.max_difference"] <= 1e-4) == (1, True)
    assert "is exported in full precision alone" in export(run, "--int8", code=2)
    assert documented(run / "onnx", [tmp_path / "quer.png", tmp_path / "senkrecht.png"]) == ["across", "down"]


def test_a_picture_that_cannot_be_read_is_told_before_training(runs, tmp_path):
    folder = scans(tmp_path / "scans", each=20)
    for name in ("003.png", "005.png"):
        whole = (folder / "down" / name).read_bytes()
        (folder / "down" / name).write_bytes(whole[: len(whole) // 2])
    sizes = ["data.train_size=null", "data.valid_size=8", "data.test_size=8"]
    runs.run("recipe=torchvision", "data=images", f"data.train={folder}", *sizes, "retries=0", code=1)
    row = runs.row()
    for name in ("003.png", "005.png"):
        assert f"down/{name}: no picture that can be read" in row["reason"]
    assert row["train.seconds"] is None


def test_two_processes_have_the_losses_of_one_with_both_batches_to_a_step_and_go_on_to_the_bit(tmp_path):
    """With noise, which follows from the row, and without dropout, which each process draws by itself."""
    one, two, cut = (Runs(tmp_path / name) for name in ("one", "two", "cut"))
    words = [*SMALL, "data.train_size=101", "train.epochs=2", "checkpoint.every=5"]
    words += ["recipe.dropout=0", "recipe.noise=0.05", "recipe.shift=2"]
    several = ["placement=multi_cpu", "placement.processes=2"]
    one.run(*words, "train.accumulate=2")
    two.run(*words, *several)
    assert two.row()["processes"] == 2
    assert two.row()["train.steps"] == 14
    expected, found = losses(one), losses(two)
    assert expected.keys() == found.keys() == set(range(1, 15))
    np.testing.assert_allclose([*found.values()], [*expected.values()], rtol=1e-5)
    killed_at_checkpoint(5, cut, [*words, *several], tmp_path, **REAL)
    assert "going on from the checkpoint of step" in cut.run(*words, *several)
    logits = [np.load(runs.folders()[0] / "predictions_test.npz")["logits"] for runs in (two, cut)]
    np.testing.assert_array_equal(*logits)


@pytest.fixture(scope="session")
def titles(shared):
    """A small run on drawn titles, timed."""
    runs = Runs(shared / "titles_drawn")
    words = ["measure.batch_sizes=[1,8]", "measure.calls=20", "measure.seconds=0.1", "data.test_size=50"]
    said = runs.run(*SMALL, *words)
    return runs.folders()[0], said


def test_latencies_are_told_with_and_without_drawing(titles):
    folder, _ = titles
    row = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    calls = np.load(folder / "inference.npz")
    for size in (1, 8):
        whole, drawing = calls[f"seconds_{size}"], calls[f"preparing_{size}"]
        assert (whole > drawing).all()
        assert (drawing > 0).all()
        figures = [row[f"inference.batch{size}.{key}p50_ms"] for key in ("", "model.")]
        assert figures == pytest.approx([1000 * np.median(whole), 1000 * np.median(whole - drawing)], abs=1e-3)


def test_texts_that_do_not_fit_are_told_and_a_text_and_a_picture_of_it_are_answered_alike(titles, tmp_path, python):
    folder, said = titles
    row = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    assert row["train.texts_cut"] > 0
    assert f"train: {row['train.texts_cut']} of 64 texts do not fit on the page and are cut" in said
    assert row["train.texts_boxed"] == 0
    drawn = """
import sys
from recipes.torchvision.pictures import Page
page = Page(height=32, width=128, font_size=14)
page.draw(page.layout(sys.argv[1])).save(sys.argv[2])
"""
    asked(python, drawn, "night nurse", tmp_path / "nurse.png")
    answers = [predict(folder, what, "--all").splitlines()[1:] for what in ("night nurse", tmp_path / "nurse.png")]
    assert answers[0] == answers[1]
    assert len(answers[0]) > 5


def test_weights_of_one_s_own_are_taken_but_for_the_head_and_others_are_told(titles, runs, tmp_path):
    weights, levels = titles[0] / "model" / "model.safetensors", ["data.level=major", "recipe.learning_rate=1e-12"]
    said = runs.run(*SMALL, *levels, f"recipe.weights={weights}", "recipe.channels=3", "retries=0", code=1)
    assert "recipe.weights are not of recipe.architecture=mobilenet_v3_small: " in said
    assert "features.0.0.weight" in said, "it is of grey pictures"
    (tmp_path / "own.pth").write_bytes(b"\x80\x04\x95 no weights")
    other = Runs(tmp_path / "other")
    other.run(*SMALL, f"recipe.weights={tmp_path}/own.pth", "retries=0", code=1)
    assert "own.pth holds no weights that can be read" in other.row()["reason"]


PAGES = """
import io, sys
import numpy as np
from PIL import Image
from recipes.torchvision.pictures import Page

page = Page(height=40, width=100, font_size=14)
assert page.rows == 2
assert page.layout("night nurse") == (["night nurse"], False, False)
lines, cut, boxed = page.layout("night nurse on a ward for children")
assert (len(lines), cut, boxed) == (2, True, False)
assert all(page.wide(line) <= 100 for line in lines)
long, cut, _ = page.layout("a" + "b" * 10_000_000)
assert cut and "".join(long).startswith("abbb") and all(page.wide(line) <= 100 for line in long)
assert page.layout("Maçon œuvre").lines == ["Macon oeuvre"]
assert page.layout("中").boxed and not page.layout("Maçon").boxed
dark = lambda picture: np.asarray(picture.convert("L")) < 128
assert dark(page.draw(page.layout("night nurse"))).any() and not dark(page.draw(page.layout(""))).any()
grid = Page(height=40, width=100, font_size=14, grid=10)
assert [len(line) for line in grid.layout("x" * 25).lines] == [10, 10]
try:
    Page(height=8, width=100, font_size=14)
    raise AssertionError("a line that does not fit")
except ValueError as error:
    assert "no line of recipe.font_size=14 fits" in str(error)

def read(picture, form="PNG", page=page):
    held = io.BytesIO()
    picture.save(held, form)
    return np.asarray(page.read(held.getvalue(), "it"))

half = np.zeros((40, 100), np.uint8)
half[:, 50:] = 255
for form in ("PNG", "TIFF", "BMP", "GIF"):
    np.testing.assert_array_equal(read(Image.fromarray(half), form), half)
np.testing.assert_array_equal(read(Image.fromarray(half.astype(np.uint16) * 257)), half)
clear = np.dstack([np.zeros((40, 100, 3), np.uint8), half])
np.testing.assert_array_equal(read(Image.fromarray(clear)), 255 - half)
tall = read(Image.fromarray(np.zeros((200, 100), np.uint8)))
assert tall.shape == (40, 100) and (tall[:, :35] == 255).all() and (tall[:, 45:55] == 0).all()
colours = Page(height=40, width=100, font_size=14, channels=3)
assert read(Image.fromarray(half), page=colours).shape == (40, 100, 3)
for wrong in (b"", b"text", held[:40] if (held := open(sys.argv[1], "rb").read()) else b""):
    try:
        page.read(wrong, "x/it.png")
        raise AssertionError("no picture was read")
    except ValueError as error:
        assert "x/it.png: no picture that can be read" in str(error)
"""


def test_pages_hold_whole_words_and_any_picture_is_read_to_their_size(python, tmp_path):
    (tmp_path / "one.png").write_bytes(png(striped(True, 1)))
    asked(python, PAGES, tmp_path / "one.png")


NETWORKS = """
import torch
from recipes.torchvision.model import network, take
from torchvision import models

settings = {"height": 64, "width": 64, "channels": 1, "first_stride": [2, 1]}
for name in ("resnet18", "squeezenet1_1", "convnext_tiny", "vit_b_16", "shufflenet_v2_x0_5", "densenet121"):
    model = network({**settings, "architecture": name}, 5).eval()
    assert model(torch.zeros(2, 1, 64, 64)).shape == (2, 5), name
first = network({**settings, "architecture": "resnet18"}, 5).conv1
assert first.stride == (2, 1) and first.weight.shape[1] == 1
colours = models.resnet18(weights=None, num_classes=9).eval()
settings |= {"architecture": "resnet18", "first_stride": None}
grey = network(settings, 5, colours.state_dict()).eval()
picture = torch.rand(1, 1, 64, 64)
one, other = grey.layer1(grey.relu(grey.bn1(grey.conv1(picture)))), None
colour = picture.expand(1, 3, 64, 64)
other = colours.layer1(colours.relu(colours.bn1(colours.conv1(colour))))
torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
again = network(settings, 3, grey.state_dict()).eval()
torch.testing.assert_close(again.conv1.weight, grey.conv1.weight, rtol=0, atol=0)
assert again.fc.weight.shape[0] == 3
try:
    network({**settings, "architecture": "resnet34"}, 5, colours.state_dict())
    raise AssertionError("weights of another network were taken")
except ValueError as error:
    assert "recipe.weights are not of recipe.architecture=resnet34" in str(error) and "layer1.2" in str(error)
try:
    network({**settings, "architecture": "vit_b_16", "width": 100}, 5)
    raise AssertionError("a page of no patches was taken")
except ValueError as error:
    assert "takes squares in patches of 16 pixels" in str(error)
"""


def test_networks_take_grey_pages_and_weights_of_colours_see_them_as_they_did(python):
    asked(python, NETWORKS)
