"""What a row says of a training and of the model that was loaded again."""

from types import SimpleNamespace

import numpy as np
import pytest

from harness.figures import row
from harness.runs.launch import Outcome


@pytest.fixture
def prepared(tmp_path):
    """Three rows of 4, 6 and 10 bytes to train on, no encoder."""
    folder = tmp_path / "train"
    folder.mkdir()
    np.arange(3, dtype=np.int64).tofile(folder / "row_ids.bin")
    np.array([0, 4, 10, 20], np.int64).tofile(folder / "texts.offsets.bin")
    (folder / "texts.values.bin").write_bytes(b"x" * 20)
    dataset = SimpleNamespace(folder=tmp_path, labels=["a", "b"])
    return SimpleNamespace(dataset=dataset, tokens=None, model=None, placed=SimpleNamespace(processes=1, gpu=False))


@pytest.mark.parametrize(
    ("evaluating", "resumed", "seconds"),
    [(0.0, None, 12.0), (2.0, None, 10.0), (0.0, (8, 5.0), 17.0), (2.0, (8, 5.0), 15.0)],
)
def test_the_time_of_training_is_without_evaluations_and_with_what_was_done_before(
    prepared, evaluating, resumed, seconds
):
    outcome = Outcome(phases={"train": {"seconds": 12.0, "cpu_seconds": 12.0}}, evaluating=evaluating, resumed=resumed)
    figures = row.training({"train": {"epochs": 4}}, prepared, outcome)
    assert figures["train.seconds"] == seconds
    assert figures["train.samples_per_second"] == round(3 / seconds, 1)


@pytest.mark.parametrize(
    ("difference", "status"), [(0.0, "finished"), (5e-5, "finished"), (2e-4, "failed"), (None, "failed")]
)
def test_a_model_that_gives_other_logits_when_it_is_loaded_again_is_a_failure(difference, status):
    outcome = Outcome(reload_max_difference=difference)
    row.check_reload(outcome)
    assert outcome.status == status


def test_logits_that_are_no_numbers_are_a_training_that_diverged():
    outcome = Outcome(reload_max_difference=float("nan"))
    row.check_reload(outcome)
    assert outcome.status == "failed"
    assert "diverged" in outcome.reason
    assert outcome.reload_max_difference is None
