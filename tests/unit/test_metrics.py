"""The figures, against definitions written out."""

import numpy as np
import pytest

from harness.figures.metrics import classification
from recipes.contract.tasks import CLASSIFICATION


@pytest.fixture
def some():
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 5, 400)
    logits = generator.normal(size=(400, 5)).astype(np.float32) + 2 * np.eye(5, dtype=np.float32)[labels]
    return labels, logits


def test_perfect_predictions_have_perfect_figures():
    labels = np.array([0, 1, 2, 1])
    figures = classification.scores(labels, 100 * np.eye(3, dtype=np.float32)[labels])
    assert (figures["accuracy"], figures["macro_f1"], figures["weighted_f1"]) == (1, 1, 1)
    assert figures["log_loss"] == pytest.approx(0, abs=1e-9)
    assert figures["calibration_error"] == pytest.approx(0, abs=1e-9)


def test_figures_are_what_their_definitions_say(some):
    labels, logits = some
    figures = classification.scores(labels, logits)
    predicted = logits.argmax(1)
    f1 = []
    for label in range(5):
        both = np.sum((predicted == label) & (labels == label))
        f1.append(2 * both / (np.sum(predicted == label) + np.sum(labels == label)))
    assert figures["macro_f1"] == pytest.approx(np.mean(f1))
    assert figures["weighted_f1"] == pytest.approx(np.average(f1, weights=np.bincount(labels)))
    logs = logits - np.log(np.exp(logits.astype(float)).sum(1, keepdims=True))
    assert figures["log_loss"] == pytest.approx(-logs[np.arange(400), labels].mean(), rel=1e-6)


def test_calibration_error_is_the_mean_gap_over_bins(some):
    labels, logits = some
    probabilities = CLASSIFICATION.activation(logits)
    expected = 0.0
    for low in np.arange(15) / 15:
        inside = [i for i in range(400) if low <= probabilities[i].max() < low + 1 / 15]
        if inside:
            accuracy = np.mean([probabilities[i].argmax() == labels[i] for i in inside])
            expected += len(inside) / 400 * abs(accuracy - np.mean([probabilities[i].max() for i in inside]))
    assert classification.calibration_error(labels, probabilities) == pytest.approx(expected)


def test_the_two_highest_bins_of_confidence_are_two():
    """0.9 of confidence and wrong, 0.96 and right: (0.9 + 0.04) / 2; together they would be 0.5 right at 0.93."""
    probabilities = np.array([[0.1, 0.9], [0.96, 0.04]])
    assert classification.calibration_error(np.array([0, 0]), probabilities) == pytest.approx(0.47)


def test_a_confident_wrong_model_is_badly_calibrated():
    labels = np.zeros(10, int)
    wrong = np.tile(np.array([[0, 50]], np.float32), (10, 1))
    assert classification.calibration_error(labels, CLASSIFICATION.activation(wrong)) == pytest.approx(1)


def test_classes_that_do_not_occur_count_in_the_details_only():
    labels = np.array([0, 0, 1])
    logits = 9 * np.eye(3, dtype=np.float32)[[0, 0, 1]]
    assert classification.scores(labels, logits)["macro_f1"] == 1
    details = classification.details(labels, logits, ["a", "b", "é, c"])
    assert details["classes"]["é, c"] == {"precision": 0, "recall": 0, "f1": 0, "rows": 0}
    assert details["confusion"] == [[2, 0, 0], [0, 1, 0], [0, 0, 0]]


def test_of_very_many_classes_there_is_no_confusion_matrix():
    names = [f"class {number}" for number in range(classification.CONFUSED + 1)]
    details = classification.details(np.arange(len(names)), np.eye(len(names), dtype=np.float32), names)
    assert details["confusion"] is None
    assert len(details["classes"]) == len(names)
    few = np.arange(classification.CONFUSED)
    assert (
        len(classification.details(few, np.eye(len(few), dtype=np.float32), names[:-1])["confusion"])
        == classification.CONFUSED
    )


def test_logits_of_any_size_have_probabilities_each_row_by_itself():
    logits = np.array([[1000, 0], [-1000, -1000]], np.float32)
    assert CLASSIFICATION.activation(logits).tolist() == [[1, 0], [0.5, 0.5]]
    assert CLASSIFICATION.activation(np.zeros((1, 3), np.float16)).dtype == np.float64


def test_full_confidence_belongs_to_the_highest_bin():
    """1 and wrong, 0.95 and right, in one bin: half are right at 0.975; in two it would be (1 + 0.05) / 2."""
    probabilities = np.array([[0, 1.0], [0.95, 0.05]])
    assert classification.calibration_error(np.array([0, 0]), probabilities) == pytest.approx(0.475)
