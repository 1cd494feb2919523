"""Every recipe, with its real library and real weights, on small real data, through the command line."""

import contextlib
import csv
import json
import os
import pty
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from support import (
    BY_EPOCHS,
    DEEP,
    LIBRARIES,
    OWN_LAYERS,
    REAL,
    ROOT,
    VARIANTS,
    WITHOUT_ENCODER,
    compiles,
    forked,
    killed_at_checkpoint,
    killed_in,
    others,
    plant,
    plant_checkpoint,
    script,
)  # fmt: skip

from harness.base import environments
from harness.machine import host
from harness.results import reading
from harness.results.traits import libraries
from recipes.contract.split import Split

WATCHED = {f"train/{name}" for name in ("loss", "learning_rate", "samples_per_second")}
WATCHED |= {"memory/rss_mb", "valid/macro_f1"}
EACH = [words for words in [*VARIANTS, *WITHOUT_ENCODER] if "classification" in LIBRARIES[words].takes]
READING = [words for words in EACH if LIBRARIES[words].settings.get("input") != "images"]  # texts, as they are
DEFAULT = [words for words in EACH if words != "recipe=keras recipe.backend=torch"]  # parity holds that one too
NATIVE_BF16 = host.Machine.here().bf16
SKILLSPAN = Path(os.environ.get("SKILLSPAN_DATA", ROOT.parent / "shared" / "data" / "skillspan"))


def documented() -> set[str]:
    """Return the keys that outputs/README.md explains."""
    rows = (ROOT / "outputs" / "README.md").read_text(encoding="utf-8").splitlines()
    return {key.strip("` ") for row in rows if row.startswith("| `") for key in row.split("|")[1].split(",")}


def as_documented(key: str, names: set[str]) -> bool:
    key = re.sub(r"^identity\..*", "identity.KEY", re.sub(r"\.batch\d+\.", ".batchN.", key))
    parts = key.split(".")
    return (
        key in names or ".".join([parts[0], "PHASE", *parts[2:]]) in names or ".".join(["SPLIT", *parts[1:]]) in names
    )


@pytest.mark.parametrize("words", others(EACH, *DEFAULT))
def test_a_run_killed_and_started_again_leaves_a_whole_result_is_not_repeated_and_can_be_to_the_bit(
    runs, words, tmp_path
):
    deep, encoder = words in BY_EPOCHS, words in VARIANTS
    compiled, words = deep and compiles(words), words.split()
    if deep:  # 8 steps an epoch: it goes on between two, then within the second; protocol=controlled: test_parity.py
        two = words == ["recipe=fairseq"] and NATIVE_BF16  # its checkpoint has the weights in both precisions then
        words += [
            f"precision={'bf16' if two else 'fp32'}",
            "data.train_size=128",
            "train.batch_size=16",
            "train.epochs=2",
        ]
        words += ["checkpoint.every=4", "logger=csv"]
        killed_at_checkpoint(8, runs, words, tmp_path)
        plant_checkpoint(*runs.outputs.glob("*/.*/checkpoints/checkpoint-8"), tmp_path / "loaded")
        killed_at_checkpoint(12, runs, words, tmp_path, **forked())
    for phase in () if deep else ("train", "save"):
        killed_in(phase, runs, words, tmp_path)
    said = runs.run(*words, **REAL)  # what a worker gives that a server has forked, below, is to be the same to the bit
    row = runs.row()
    assert row["status"] == "finished"
    if deep:
        assert "going on from the checkpoint of step 12" in said
        assert row["train.resumed_at_step"] == 12
        assert not (tmp_path / "loaded").exists(), "a checkpoint that the run has not written was loaded"
        told = reported_steps(runs.folders()[0])
        assert {1, 10, row["train.steps"]} <= told.keys(), "the steps before are kept too"
        assert len(told) >= min(20, row["train.steps"]), "a bar that moves"
        assert 0 < told[1]["learning_rate"] < max(step.get("learning_rate", 0) for step in told.values())
        assert row["train.weights_moved"] == (True if encoder else None)
        told = [bool(row[f"train.{key}"]) for key in ("compile_seconds", "shapes")]
        assert told == [compiled] * 2
        figures = watched(runs.folders()[0] / "log.csv")
        assert figures >= WATCHED
        assert ("train/gradient_norm" in figures) == shows_gradients(row["recipe"])
        assert not (runs.folders()[0] / "checkpoints").exists()
    assert f"recipe={row['recipe']}" == words[0]
    assert 0.15 < row["test.accuracy"] <= 1  # 25 classes; the largest is 0.31 of the rows
    assert row["train.seconds"] > 0
    assert row["memory.peak_rss_mb"] > row["memory.mean_rss_mb"] > 50
    assert row["memory.kernel_peak_rss_mb"] > 0.99 * row["memory.train.peak_rss_mb"]  # both are counted loosely
    assert row["memory.gpu_allocated_peak_mb"] is row["machine.gpu_others"] is None
    assert row["matmul_precision"] == ("fp32" if deep else None)
    assert row["reload.max_difference"] <= 1e-4
    assert row["model.size_mb"] > 0
    undocumented = [key for key in row if not as_documented(key, documented())]
    assert undocumented == []
    (folder,) = runs.folders()
    for name in (
        "config.yaml",
        "data_report.json",
        "packages.txt",
        "metrics.json",
        "events.jsonl",
        "errors.csv",
        "model/README.md",
    ):
        assert (folder / name).stat().st_size, name
    for text in (f"accuracy {row['test.accuracy']:.3f}", f"macro-F1 {row['test.macro_f1']:.3f}", row["command"]):
        assert text in said
    before = (folder / "result.json").stat()
    first = check_predictions(folder, row)
    check_compared(runs.outputs, row, deep)
    assert "finished already" in runs.run(*words)
    after = (folder / "result.json").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    runs.run(*words, "rerun=true", f"measure.target={row['valid.macro_f1']}")
    assert runs.folders() == [folder]
    assert (folder / "result.json").stat().st_mtime_ns > before.st_mtime_ns
    assert runs.row()["train.resumed_at_step"] is None
    for one, other in zip(first, check_predictions(folder, runs.row()), strict=True):
        np.testing.assert_array_equal(one, other, "a run that was cut off twice ends elsewhere than one that was not")
    check_target(folder, runs.row(), first[0], 2 if deep else 0)
    for own in folder.glob("model/*/"):  # what the library has in a form of its own
        plant(own, tmp_path / "loaded")
        check_use(folder)
        assert not (tmp_path / "loaded").exists(), "a file of a run that was sent was unpickled"


def check_use(folder: Path) -> None:
    """See that a run's model predicts what it did, from its folder."""
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    test = Split("test", Path(job["splits"]["test"]["data"]))
    command = script("scripts/predict.py", folder, test.text(0))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    best = np.load(folder / "predictions_test.npz")["logits"][0].argmax()
    assert done.stdout.splitlines()[1].endswith(job["labels"][best])


def check_target(folder: Path, row: dict, last: np.ndarray, epochs: int) -> None:
    """Hold the time to the macro-F1 that the run ends with against the epochs it was predicted after."""
    made = sorted(folder.glob("epochs/*.npy"))
    assert len(made) == epochs
    assert row["train.target"] == row["valid.macro_f1"]
    if not epochs:
        assert row["train.target_seconds"] == row["train.seconds"]
        return
    np.testing.assert_array_equal(np.load(made[-1]), last)
    assert 0 < row["train.first_step_seconds"] < row["train.target_seconds"] < row["phase.train.seconds"] + 1
    assert row["train.seconds"] < row["phase.train.seconds"], "what the evaluations took is not training"


def shows_gradients(recipe: str) -> bool:
    """Tell whether a library is declared to let one see gradients, or the norm of theirs, as it goes."""
    declared = {library.recipe: library.traits["watch"].value for library in libraries()}
    return bool({"gradients", "gradient_norm"} & {*declared[recipe]})


def reported_steps(folder: Path) -> dict[int, dict]:
    told: dict[int, dict] = {}
    for event in map(json.loads, (folder / "events.jsonl").read_text(encoding="utf-8").splitlines()):
        if event["event"] == "step":
            told[event["step"]] = told.get(event["step"], {}) | event
    return told


def check_predictions(folder: Path, row: dict) -> list[np.ndarray]:
    """Hold the predictions against the data they are of and the figures against them; return the logits."""
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    logits = []
    for name in ("valid", "test"):
        saved, data = np.load(folder / f"predictions_{name}.npz"), job["splits"][name]["data"]
        np.testing.assert_array_equal(saved["labels"], np.fromfile(f"{data}/labels.bin", np.int32))
        np.testing.assert_array_equal(saved["row_ids"], np.fromfile(f"{data}/row_ids.bin", np.int64))
        accuracy = (saved["logits"].argmax(1) == saved["labels"]).mean()
        assert row[f"{name}.accuracy"] == pytest.approx(accuracy)
        logits.append(saved["logits"])
    return logits


def check_compared(outputs: Path, row: dict, deep: bool) -> None:
    """See that scripts/compare.py reads what a run leaves."""
    (one,) = reading.read(outputs)
    labels, predicted = one.predictions()
    assert (labels == predicted).mean() == pytest.approx(row["test.accuracy"])
    assert one.group.title.startswith(f"{row['data']}, ")
    assert one.tested
    assert len(one.classes) == 25
    assert bool(one.curve) == deep


def test_predictions_are_those_of_the_rows_of_other_data_too(runs):
    runs.run("recipe=tfidf", "data=onet", "data.train_size=400")
    check_predictions(runs.folders()[0], runs.row())
    assert runs.row()["test.accuracy"] > 0.2


def watched(log):
    """Return the names of the figures in a log.csv."""
    with open(log, encoding="utf-8", newline="") as handle:
        return {row["name"] for row in csv.DictReader(handle)}


def postings(path, encoding="utf-8", delimiter=",", rows=60):
    """Write postings as a person would export them: French, two classes, with accents and a label with a comma."""
    kinds = {
        "Santé, social": ("Infirmière diplômée d’État", "Soins aux patients à l’hôpital ; garde de nuit, 35 €/h"),
        "Bâtiment": ("Maçon qualifié", "Gros œuvre sur chantier :\ncoffrage, béton, élévation de murs"),
    }
    with open(path, "w", encoding=encoding, newline="") as handle:
        writer = csv.writer(handle, delimiter=delimiter, lineterminator="\r\n")
        writer.writerow(["réf", "titre", "description", "catégorie"])
        for number in range(rows):
            category = sorted(kinds)[number % 2]
            title, description = kinds[category]
            writer.writerow([number, f"{title} H/F {number}", description, category])


@pytest.mark.parametrize("words", others(READING, "recipe=hf_trainer", "recipe=tfidf"))
def test_one_s_own_postings_from_excel_in_french_with_the_first_token(runs, words, tmp_path):
    postings(tmp_path / "offres.csv", encoding="cp1252", delimiter=";")
    deep = ["model.pooling=cls"] if words in VARIANTS else []
    said = runs.run(
        *words.split(), *deep, "data=csv", f"data.train={tmp_path}/offres.csv", "data.text=[titre,description]",
        "data.label=catégorie", "data.train_size=null", "data.valid_size=0.2", "data.test_size=0.2",
        "train.epochs=4", "train.batch_size=8",
    )  # fmt: skip
    faster = NATIVE_BF16 and LIBRARIES[words].faster_in_bf16
    assert not deep or runs.row()["precision"] == ("bf16" if faster else "fp32")
    assert runs.row()["test.accuracy"] == 1, said
    (folder,) = runs.folders()
    report = json.loads((folder / "data_report.json").read_text(encoding="utf-8"))
    assert "Santé, social" in json.dumps(report, ensure_ascii=False)
    assert "1252" in json.dumps(report)


@pytest.mark.parametrize("words", others(VARIANTS, *(words for words in DEFAULT if words in VARIANTS)))
def test_in_bf16_batches_of_one_a_class_of_one_row_a_text_of_one_token_and_one_of_10_mb(runs, words, tmp_path):
    with open(tmp_path / "rows.csv", "w", encoding="utf-8") as handle:
        handle.write("text,label\ncook,kitchen\n")
        for number in range(12):
            handle.write(f"{'nurse ' * (1_700_000 if number == 3 else 1)}{number if number != 4 else ''},care\n")
            handle.write(f"welder {number},metal\n")
    rows = "nurse 22,care\nnurse 33,care\nwelder 22,metal\nwelder 33,metal\n"
    for name in ("valid", "test"):
        (tmp_path / f"{name}.csv").write_text(f"text,label\n{rows}", encoding="utf-8")
    files = [f"data.train={tmp_path}/rows.csv", f"data.valid={tmp_path}/valid.csv", f"data.test={tmp_path}/test.csv"]
    files += ["data.text=text", "data.label=label", *(f"data.{name}_size=null" for name in ("train", "valid", "test"))]
    precision = "bf16" if LIBRARIES[words].takes_bf16 else "fp32"
    runs.run(*words.split(), "data=csv", *files, "train.batch_size=1", "train.epochs=2", f"precision={precision}")
    row = runs.row()
    assert (row["train.rows"], row["precision"]) == (25, precision)
    assert row["test.accuracy"] == 1


@pytest.mark.parametrize("words", others(VARIANTS, "recipe=hf_trainer", *OWN_LAYERS))
def test_a_small_network_from_scratch_has_the_same_layers_and_is_moved_by_a_training_of_one_step(runs, words):
    """More batches to a step than there are: all rows are one."""
    runs.run("experiment=small_network", *words.split(), "seed=3", "train.accumulate=8")
    row, told = runs.row(), reported_steps(runs.folders()[0])
    assert (row["train.steps"], [*told]) == (1, [1])
    assert told[1]["learning_rate"] > 0
    assert row["train.weights_moved"]
    width, inner, layer = 128, 512, 4 * (128 * 128 + 128) + 4 * 128
    layer += 2 * width * inner + inner + width
    expected = (30522 + 512 + 2) * width + 2 * width + 2 * layer + 25 * width + 25
    assert (row["model"], row["model.parameters"]) == ("small", expected)
    assert row["weights_drawn"]
    assert row["reload.max_difference"] == 0


def test_the_running_interpreter_s_environment_is_used_and_what_it_lacks_is_told(runs):
    said = runs.run("recipe=tfidf", "env=current", code=1)
    assert re.search(r" lacks (scikit-learn, )?skops\.", said)  # who runs the tests may have scikit-learn
    assert not runs.outputs.exists()
    assert "configs/environments/tfidf.txt" in said


def test_environments_that_somebody_else_built_are_used_and_the_row_says_what_is_in_them(runs, tmp_path):
    for name in ("core", "tfidf"):
        (tmp_path / name).symlink_to(environments.ensure(name).python.parent.parent)
    said = runs.run("recipe=tfidf", FINETUNE_RECIPES_ENVIRONMENTS=str(tmp_path))
    row, managed = runs.row(), environments.ensure("tfidf")
    assert "building the environment" not in said
    assert (row["environment"], row["environment.size_mb"]) == ("tfidf", None)
    assert row["environment.packages"] == len(managed.packages)
    assert row["identity.env"].startswith(f"{tmp_path}/tfidf/bin/python (")
    said = runs.run("recipe=hf_trainer", code=1, FINETUNE_RECIPES_ENVIRONMENTS=str(tmp_path))
    assert f"there is no {tmp_path}/hf_trainer/bin/python" in " ".join(said.split())


def test_a_training_that_diverges_is_told(runs):
    runs.run("recipe=hf_trainer", "recipe.learning_rate=1e38", "recipe.max_grad_norm=1e38", code=1)
    row = runs.row()
    assert row["status"] == "failed"
    assert "diverged" in row["reason"]
    assert not (runs.folders()[0] / "model").exists()


def test_figures_of_sentences_not_seen_in_training_stand_apart(runs, tmp_path):
    """Half of the test rows stand in train word for word."""
    texts = {"santé": "nurse on ward", "metal": "welder at yard"}
    for name, numbers in (("train", range(20)), ("valid", range(20, 25)), ("test", range(15, 25))):
        rows = [f"{text} {n},{label}\n" for n in numbers for label, text in texts.items()]
        (tmp_path / f"{name}.csv").write_text("text,catégorie\n" + "".join(rows), encoding="utf-8")
    files = [f"data.{name}={tmp_path}/{name}.csv" for name in ("train", "valid", "test")]
    words = ["recipe=tfidf", "data=csv", *files, "data.text=text", "data.label=catégorie", "data.train_size=null"]
    said = runs.run(*words, LC_ALL="C", PYTHONUTF8="0")
    assert said.isascii()
    assert "data.label=categorie" in said
    row = runs.row()
    assert (row["test.rows"], row["test_unseen.rows"]) == (20, 10)
    assert "unseen" in said
    assert "valid_unseen.rows" not in row


@pytest.mark.skipif(not SKILLSPAN.exists(), reason="the SkillSpan files are not here")
def test_skillspan_from_a_local_folder(runs):
    rows = ["data.train_size=2000", "data.test_size=null"]
    said = runs.run("recipe=tfidf", "data=skillspan", f"data.path={SKILLSPAN}", *rows)
    row = runs.row()
    assert row["test.rows"] > row["test_unseen.rows"] > 2000
    assert row["test.macro_f1"] > 0.4, said


@pytest.mark.parametrize("recipe", ["tfidf", "hf_trainer"])
def test_on_a_terminal_a_live_bar_shows_the_phases(runs, recipe):
    """And a training at a rate that is too small to move a weight says so."""
    terminal, end = pty.openpty()
    still = ["recipe.learning_rate=1e-60"] if recipe in DEEP else []
    process = runs.start(f"recipe={recipe}", *still, output=end, **forked())
    os.close(end)
    said = b""
    with contextlib.suppress(OSError):  # how a terminal ends on Linux
        while block := os.read(terminal, 1 << 16):
            said += block
    assert process.wait(60) == 0
    text = said.decode()
    assert "\x1b[" in text
    for shown in ("training", "predicting test", "━", "finished"):
        assert shown in text
    if recipe in DEEP:
        assert "loss" in text
        assert "moved no weight of the encoder" in text
        assert runs.row()["train.weights_moved"] is False
