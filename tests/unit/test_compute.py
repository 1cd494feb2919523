"""Arithmetic that a training needs, against a count by hand."""

import numpy as np
from job_support import a_job

from harness.figures import compute
from recipes.contract import frameworks
from recipes.worker import peak

SMALL = {"model_type": "bert", "num_hidden_layers": 2, "hidden_size": 4, "intermediate_size": 8}


def test_operations_of_two_texts_counted_by_hand():
    """Texts of 3 and 1 tokens, 2 layers of width 4 and inner width 8, 5 labels, 2 epochs.

    Matrices of a layer: 4 of 4 x 4 and 2 of 4 x 8, 128 weights: 256 operations a token, x 4 tokens x 2 layers = 2048.
    Attention: 3 x 3 + 1 x 1 = 10 pairs, each 2 x 4 for its score and 2 x 4 for its value: 160 a layer, 320.
    Head: 4 x 5 weights, 2 texts: 80. Forward 2448; with backward, and twice: x 6.
    """
    expected = 6 * 2448 / 1e9
    assert compute.training_gflop(SMALL, np.array([3, 1]), 2, 5) == expected
    distilled = {"model_type": "distilbert", "n_layers": 2, "dim": 4, "hidden_dim": 8}
    assert compute.training_gflop(distilled, np.array([3, 1], np.int32), 2, 5) == expected


def test_an_architecture_that_was_not_counted_has_no_figure():
    assert compute.training_gflop({**SMALL, "model_type": "deberta-v2"}, np.array([3]), 1, 2) is None
    assert set(compute.figures(None, 100.0, 1.0, 1).values()) == {None, 100.0}


def test_a_share_is_of_the_peak_of_all_devices():
    assert compute.figures(600.0, 100.0, 20.0, 1)["compute.share_of_peak"] == 0.3
    assert compute.figures(600.0, 100.0, 20.0, 2)["compute.share_of_peak"] == 0.15
    assert compute.figures(600.0, None, 20.0, 1)["compute.share_of_peak"] is None


def test_operations_are_rounded_to_millions_and_a_share_to_four_digits():
    assert compute.figures(1234.56789, 100.0, 20.0, 3) == {
        "compute.useful_gflop": 1234.568, "compute.peak_gflops": 100.0, "compute.share_of_peak": 0.2058,
    }  # fmt: skip


def test_without_a_framework_numpy_measures_fp32_and_nobody_bf16(monkeypatch, tmp_path):
    monkeypatch.setattr(peak, "SIZES", {"cpu": 256})
    monkeypatch.setattr(peak, "SECONDS", 0.6)
    monkeypatch.setattr(frameworks, "used", list)
    ticks = iter(range(100))
    monkeypatch.setattr(peak.time, "perf_counter", lambda: [0, 0.5, 1, 1.125, 2, 2.25, 3, 3.25][next(ticks)])
    assert peak.gflops(a_job(tmp_path, precision="bf16")) is None
    assert peak.gflops(a_job(tmp_path)) == round(2 * 256**3 / 0.125 / 1e9, 1), "of the fastest of four"
    assert next(ticks) == 8, "four products at least, and no more than their seconds ask for"
