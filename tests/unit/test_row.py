"""The row of a run, key by key, of runs made up; what it says of a training and of a model that was loaded again."""

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from harness.base.environments import Environment
from harness.figures import row
from harness.machine import host
from harness.runs.attempt import Attempt
from harness.runs.identity import Identity
from harness.runs.outcome import Outcome
from harness.runs.row import Row
from recipes.contract.job import Train
from recipes.contract.ragged import Ragged

SMALL = {"model_type": "bert", "num_hidden_layers": 2, "hidden_size": 4, "intermediate_size": 8}
IDENTITY = Identity(
    schema=2, recipe={"name": "torch"}, data={"name": "onet", "digest": "d"}, model=None,
    protocol={"name": "native"}, precision="fp32", seed=3, threads=None, env="e", code="c",
)  # fmt: skip
ALONE = SimpleNamespace(name="cpu", processes=1, gpu=False, first=True)
VALID = SimpleNamespace(task="classification", labels=["a", "b"], scale=(0.0, 1.0))
TRAINED = {"train": {"seconds": 12.0, "cpu_seconds": 24.0}}


@pytest.fixture
def prepared(tmp_path):
    """Three rows of 4, 6 and 10 bytes to train on, of which two stand in test beside a new one; no encoder."""
    for name, seen in (("train", [1, 1, 1]), ("test", [1, 0, 1])):
        folder = tmp_path / "data" / name
        folder.mkdir(parents=True)
        np.arange(3, dtype=np.int64).tofile(folder / "row_ids.bin")
        Ragged.of([np.full(size, 120, np.uint8) for size in (4, 6, 10)]).write(folder, "texts")
        np.array(seen, np.uint8).tofile(folder / "seen.bin")
    settings = SimpleNamespace(
        evaluate=("test",), seed=3, train=Train(epochs=4, batch_size=16, accumulate=2),
        recipe=SimpleNamespace(name="torch", libraries=("torch", "jax", "numpy"), by_epochs=False),
        data=SimpleNamespace(name="onet"),
        protocol=SimpleNamespace(name="native"), measure=SimpleNamespace(target=0.5, noisy=False),
    )  # fmt: skip
    return SimpleNamespace(
        dataset=SimpleNamespace(
            task="classification", folder=tmp_path / "data", labels=["a", "b"], digest="d", scale=(0.0, 1.0)
        ),
        tokens=None, model=None, folders=lambda split: (tmp_path / "data" / split, None),
        settings=settings, placed=ALONE, identity=IDENTITY, resolved=SimpleNamespace(threads=2, precision="fp32"),
    )  # fmt: skip


def texts_of(folder, rows):
    """Write what a split has of its texts."""
    folder.mkdir(parents=True, exist_ok=True)
    np.arange(rows, dtype=np.int64).tofile(folder / "row_ids.bin")
    Ragged.of([np.full(4, 120, np.uint8)] * rows).write(folder, "texts")


@pytest.fixture
def encoder(prepared, tmp_path):
    """The same with an encoder: texts of 3, 1 and 2 tokens."""
    folder = tmp_path / "tokens" / "train"
    folder.mkdir(parents=True)
    Ragged.of([np.ones(size, np.int32) for size in (3, 1, 2)]).write(folder, "token_ids")
    prepared.tokens, prepared.settings.recipe.by_epochs = SimpleNamespace(folder=tmp_path / "tokens"), True
    prepared.folders = lambda split: (tmp_path / "data" / split, tmp_path / "tokens" / split)
    prepared.model = SimpleNamespace(name="minilm", config=SMALL, digest="w", drawn="z", folder=tmp_path / "weights")
    return prepared


@pytest.fixture
def done(tmp_path):
    """An attempt that ended well and left a model, predictions of test and what predicting took."""
    working = tmp_path / ".run.working"
    (working / "model" / "native").mkdir(parents=True)
    (working / "model" / "weights.bin").write_bytes(b"x" * 1_234_000)
    (working / "model" / "native" / "weights.bin").write_bytes(b"x" * 9_000_000)
    (working / "model" / "config.json").write_bytes(b"x" * 2_000)
    logits = np.array([[0, 9], [9, 0], [9, 0]], np.float32)
    np.savez(working / "predictions_test.npz", labels=np.array([1, 1, 0]), logits=logits)
    np.savez(working / "inference.npz", seconds_1=np.full(4, 0.01))
    outcome = Outcome(
        phases=TRAINED, steps=8, train_start=100.0, reported=[(1, 101.0)], worker_seconds=20.5, parameters=7,
        reload_max_difference=0.0, cold_start=2.5, quiet={"machine.quiet": True}, started=1.0,
        compiled={"event": "compiled", "time": 112.0, "seconds": 6.1234, "shapes": 4},
    )  # fmt: skip
    environment = Environment("torch-e", Path("python"), {"numpy": "2.4.0", "torch": "2.13.0"}, 1138.4)
    monitor = SimpleNamespace(figures=lambda: {"memory.peak_rss_mb": 900.0})
    return Attempt(working, outcome, monitor, 2, "r", 55, environment)


def test_the_row_of_a_finished_run_key_by_key(prepared, done, tmp_path):
    made = {**row.row(prepared, done, tmp_path / "run", "python train.py")}
    ended = datetime.fromisoformat(made.pop("ended"))
    assert ended.utcoffset() == timedelta(0)
    assert ended.microsecond == 0
    assert abs(datetime.now(timezone.utc) - ended) < timedelta(minutes=5)
    loss = made.pop("test.log_loss"), made.pop("test_unseen.log_loss")
    assert loss == (pytest.approx((9 + 3 * np.log1p(np.exp(-9))) / 3), pytest.approx(9 + np.log1p(np.exp(-9))))
    sure = 1 / (1 + np.exp(-9))
    errors = made.pop("test.calibration_error"), made.pop("test_unseen.calibration_error")
    assert errors == (pytest.approx(sure - 2 / 3), pytest.approx(sure))
    assert made == {
        "schema": 2, "status": "finished", "reason": None, "attempts": 2, "log": None, "recipe": "torch",
        "data": "onet", "task": "classification",
        "model": None, "protocol": "native", "precision": "fp32", "compile": "none",
        "batches": "padded", "matmul_precision": None, "seed": 3,
        "placement": "cpu", "processes": 1,
        "test.rows": 3, "test.accuracy": 2 / 3, "test.macro_f1": 2 / 3, "test.weighted_f1": 2 / 3,
        "test.seen_in_train": 2,
        "test_unseen.rows": 1, "test_unseen.accuracy": 0.0, "test_unseen.macro_f1": 0.0, "test_unseen.weighted_f1": 0.0,
        "train.rows": 3, "train.epochs": None, "train.batch_size": None, "train.accumulate": None, "train.steps": 8,
        "train.resumed_at_step": None, "train.seconds": 12.0, "train.first_step_seconds": 1.0,
        "train.step_seconds_median": None, "train.step_seconds_p10": None, "train.step_seconds_p90": None,
        "train.compile_seconds": 6.123, "train.shapes": 4,
        "train.samples_per_second": 0.2, "train.real_tokens_per_second": None, "compute.useful_gflop": None,
        "compute.peak_gflops": None, "compute.share_of_peak": None, "train.weights_moved": None,
        "worker.seconds": 20.5, "phase.train.seconds": 12.0, "phase.train.cpu_seconds": 24.0,
        "memory.peak_rss_mb": 900.0, "memory.kernel_peak_rss_mb": None, "memory.gpu_allocated_peak_mb": None,
        "inference.cold_start_seconds": 2.5, "inference.batch1.calls": 4,
        **{f"inference.batch1.p{rank}_ms": 10.0 for rank in (50, 90, 95, 99)},
        "inference.batch1.texts_per_second": 100.0,
        "reload.max_difference": 0.0, "model.parameters": 7, "model.size_mb": 1.24, "environment": "torch-e",
        "environment.size_mb": 1138.4, "environment.packages": 2, "recipe.lines": 55,
        "library_versions": "torch==2.13.0 numpy==2.4.0", "threads": 2, "machine": host.describe(),
        "machine.quiet": True, "timing": "ok", "data_digest": "d", "weights_digest": None, "weights_drawn": None,
        "code_digest": "c", "revision": "r",
        "identity_digest": IDENTITY.digest(2, None, "torch==2.13.0 numpy==2.4.0"), **IDENTITY.keys(),
        "command": "python train.py",
    }  # fmt: skip
    by_class = json.loads((done.working / "metrics.json").read_text(encoding="utf-8"))
    assert by_class["test"]["confusion"] == [[1, 0], [1, 1]]
    assert list(by_class["test"]["classes"]) == ["a", "b"]


def test_the_row_of_a_run_with_an_encoder_says_which_and_whether_it_moved(encoder, done, tmp_path):
    from safetensors.numpy import save_file

    for folder, weight in ((encoder.model.folder, 1.0), (done.working / "model", 2.0)):
        folder.mkdir(exist_ok=True)
        save_file({"weight": np.full(3, weight, np.float32)}, folder / "model.safetensors")
    np.savez(done.working / "predictions_valid.npz", labels=np.array([0, 1]), logits=np.eye(2, dtype=np.float32))
    encoder.settings.evaluate = ("valid",)
    texts_of(encoder.dataset.folder / "valid", 2)
    np.array([0, 0], np.uint8).tofile(encoder.dataset.folder / "valid" / "seen.bin")
    done.outcome.resources = {
        "finetune": {"matmul_precision": "high", "peak_rss": 123_456_789, "gpu_allocated_peak": None},
    }
    done.outcome.quiet = {"machine.quiet": False}
    encoder.identity = replace(IDENTITY, model={"name": "minilm", "digest": "w"})
    made = row.row(encoder, done, tmp_path / "run", "python train.py")
    named = ("model", "weights_digest", "weights_drawn", "matmul_precision", "timing", "train.weights_moved")
    assert [made[key] for key in named] == ["minilm", "w", "z", "high", "noisy", True]
    assert made["identity_digest"] == encoder.identity.digest(2, "z", made["library_versions"])
    encoder.settings.measure.noisy, encoder.resolved.precision = True, "bf16"
    assert row.row(encoder, done, tmp_path / "run", "")["timing"] == "told"
    save_file({"weight": np.full(3, 1 + 2**-20, np.float32)}, encoder.model.folder / "model.safetensors")
    save_file({"weight": np.ones(3, np.float32)}, done.working / "model" / "model.safetensors")
    assert row.row(encoder, done, tmp_path / "run", "")["train.weights_moved"] is False, "bf16 rounded it"
    assert (made["train.target"], made["train.target_seconds"]) == (0.5, 12.0)
    assert (made["valid.macro_f1"], made["valid.seen_in_train"]) == (1.0, 0)
    assert "valid_unseen.macro_f1" not in made, "all are unseen: it would be the same twice"


@pytest.mark.parametrize("log", [None, Path("/of/uv.txt")])
def test_the_row_of_a_run_that_failed_says_why_and_where_more_is_told(prepared, done, tmp_path, log):
    done.outcome = Outcome(status="failed", reason="it broke", log=log, log_name="log.rank1.txt")
    done.environment = None
    assert row.row(prepared, done, tmp_path / "run", "").log == (str(log) if log else None), "there is none of its own"
    (done.working / "log.rank1.txt").touch()
    made = row.row(prepared, done, tmp_path / "run", "python train.py")
    assert isinstance(made, Row)
    assert (made.status, made.reason) == ("failed", "it broke")
    assert made.log == str(log or tmp_path / "run" / "log.rank1.txt")
    nothing = ("library_versions", "environment", "environment.size_mb", "environment.packages", "timing")
    assert [made[key] for key in nothing] == [None] * 5
    assert not [key for key in made if key.startswith(("test.", "inference.batch"))], "nothing of it is scored"


def test_another_machine_than_the_first_scores_nothing_and_has_loaded_nothing_again(prepared, done, tmp_path):
    prepared.placed = SimpleNamespace(name="cpu", processes=2, gpu=False, first=False)
    done.outcome.reload_max_difference = None
    made = row.row(prepared, done, tmp_path / "run", "python train.py")
    assert made.finished
    assert "test.accuracy" not in made


def test_a_training_of_an_encoder_counts_each_epoch_and_its_real_tokens(encoder):
    """6 tokens in 3 rows, 4 epochs in 12 s. Of two million layers each has matrices of 256 operations a token: 1536.

    Attention: 9 + 1 + 4 = 14 pairs of 16, 224 a layer; together 3.52e9. Head: 48. With backward, 4 times: x 12.
    """
    encoder.placed = SimpleNamespace(processes=2, gpu=True)
    encoder.model.config = {**SMALL, "num_hidden_layers": 2_000_000}  # so much that there is something to round
    found = row.training(encoder, Outcome(phases=TRAINED, steps=5, peak_gflops=1.0, resumed=(3, 0.0)))
    expected = {
        "train.rows": 3, "train.epochs": 4, "train.batch_size": 16, "train.accumulate": 2, "train.steps": 5,
        "train.resumed_at_step": 3, "train.seconds": 12.0, "train.samples_per_second": 1.0,
        "train.real_tokens_per_second": 2.0, "compute.useful_gflop": round(12 * (3.52e9 + 48) / 1e9, 3),
    }  # fmt: skip
    assert {key: found[key] for key in expected} == expected
    assert found["compute.share_of_peak"] == pytest.approx(12 * 3.52 / 12 / 2, abs=1e-4), "two GPUs add up"
    encoder.placed = SimpleNamespace(processes=2, gpu=False)
    seven = {"train": {"seconds": 7.0, "cpu_seconds": 7.0}}
    assert row.training(encoder, Outcome(phases=seven))["train.real_tokens_per_second"] == 3.4, "24 in 7 s"
    alone = row.training(encoder, Outcome(phases=TRAINED, peak_gflops=1.0))
    assert alone["compute.share_of_peak"] == pytest.approx(12 * 3.52 / 12, abs=1e-4), "processors are shared"


@pytest.mark.parametrize("phases", [{}, {"train": {"seconds": 0.0, "cpu_seconds": 0.0}}])
def test_of_a_training_that_took_no_time_there_is_no_rate(encoder, phases):
    found = row.training(encoder, Outcome(phases=phases, peak_gflops=1.0, evaluating=1.0, resumed=(8, 5.0)))
    rates = ("train.seconds", "train.samples_per_second", "train.real_tokens_per_second", "compute.share_of_peak")
    assert [found[key] for key in rates] == [None] * 4


@pytest.mark.parametrize(
    ("evaluating", "resumed", "seconds"),
    [(0.0, None, 12.0), (2.1234, None, 9.877), (0.0, (8, 5.1234), 17.123), (2.0, (8, 5.0), 15.0)],
)
def test_the_time_of_training_is_without_evaluations_and_with_what_was_done_before(
    prepared, evaluating, resumed, seconds
):
    figures = row.training(prepared, Outcome(phases=TRAINED, evaluating=evaluating, resumed=resumed))
    assert figures["train.seconds"] == seconds
    assert figures["train.samples_per_second"] == round(3 / seconds, 1), "what has no epochs sees a row once"


def test_memory_is_that_of_the_training_and_of_a_gpu_the_highest_in_mb():
    nothing = {"memory.kernel_peak_rss_mb": None, "memory.gpu_allocated_peak_mb": None}
    reload = {"peak_rss": 9_000_000, "gpu_allocated_peak": 2_340_000}
    assert row.own_memory(Outcome()) == nothing
    assert row.own_memory(Outcome(resources={"reload": reload | {"gpu_allocated_peak": 0}})) == nothing
    found = row.own_memory(Outcome(resources={"reload": reload}))
    assert found == nothing | {"memory.gpu_allocated_peak_mb": 2.3}
    finetune = {"peak_rss": 123_456_789, "gpu_allocated_peak": None}
    assert row.own_memory(Outcome(resources={"finetune": finetune, "reload": reload})) == {
        "memory.kernel_peak_rss_mb": 123.5, "memory.gpu_allocated_peak_mb": 2.3,
    }  # fmt: skip


def test_every_split_is_scored_that_is_asked_for(prepared, done):
    for name, seen in (("valid", [0, 0]), ("new", [1, 1])):
        np.savez(done.working / f"predictions_{name}.npz", labels=np.array([0, 1]), logits=np.eye(2)[[0, 1]])
        (prepared.dataset.folder / name).mkdir()
        np.array(seen, np.uint8).tofile(prepared.dataset.folder / name / "seen.bin")
    texts_of(prepared.dataset.folder / "valid", 2)
    found = row.quality(prepared, done.working, ("valid", "new", "test"))
    assert [found[f"{name}.rows"] for name in ("valid", "new", "test")] == [2, 2, 3]
    assert [found[f"{name}.seen_in_train"] for name in ("valid", "new", "test")] == [0, 2, 2]
    apart = {key.partition(".")[0] for key in found if "_unseen." in key}
    assert apart == {"test_unseen"}, "where all or none are seen it says nothing"


def test_a_target_that_is_just_reached_is_reached_and_its_time_has_milliseconds(tmp_path):
    known = {"valid.macro_f1": 0.5, "train.seconds": 9.87654}
    found = row.to_target(0.5, VALID, predicted(tmp_path, [0, 1]), Outcome(), known)
    assert found == {"train.target": 0.5, "train.target_seconds": 9.877}
    outcome = Outcome(train_start=1.0, epochs=[(3.45678, "1.npy")])
    assert row.to_target(1.0, VALID, tmp_path, outcome, known)["train.target_seconds"] == 2.457


def predicted(folder, labels):
    """Return a working folder whose first epoch predicted the labels of valid."""
    np.savez(folder / "predictions_valid.npz", labels=np.array(labels))
    (folder / "epochs").mkdir()
    np.save(folder / "epochs" / "1.npy", np.eye(2)[labels])
    return folder


def test_a_model_that_was_not_saved_has_no_size_and_libraries_stand_in_the_recipe_s_order(tmp_path):
    assert row.size_mb(tmp_path / "none") is None
    assert row.size_mb(tmp_path) == 0
    assert row.versions(None, ["torch"]) is None
    environment = Environment("e", Path("python"), {"a": "1", "b": "2", "c": "3"})
    assert row.versions(environment, ["c", "x", "a"]) == "c==3 a==1"


@pytest.mark.parametrize(
    ("difference", "status"), [(0.0, "finished"), (1e-4, "finished"), (1.1e-4, "failed"), (None, "failed")]
)
def test_a_model_that_gives_other_logits_when_it_is_loaded_again_is_a_failure(difference, status):
    outcome = Outcome(reload_max_difference=difference)
    row.check_reload(outcome)
    assert outcome.status == status
    assert (outcome.reason or "").endswith(f"(largest difference {difference})" if status == "failed" else "")


def test_logits_that_are_no_numbers_are_a_training_that_diverged():
    outcome = Outcome(reload_max_difference=float("nan"))
    row.check_reload(outcome)
    assert outcome.status == "failed"
    assert "diverged" in outcome.reason
    assert outcome.reload_max_difference is None
