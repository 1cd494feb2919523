"""What a run says about time holds against the raw values that it leaves."""

import numpy as np
import pytest


@pytest.mark.parametrize("recipe", ["tfidf", "torch"])
def test_the_figures_of_predicting_are_those_of_the_calls_that_are_kept(runs, recipe):
    said = runs.run(
        f"recipe={recipe}",
        "train.batch_size=16",
        "measure.batch_sizes=[1,8]",
        "measure.calls=20",
        "measure.seconds=0.1",
    )
    row, (folder,) = runs.row(), runs.folders()
    calls = np.load(folder / "inference.npz")
    assert set(calls.files) == {"seconds_1", "tokens_1", "seconds_8", "tokens_8"}
    for size in (1, 8):
        seconds, tokens = calls[f"seconds_{size}"], calls[f"tokens_{size}"]
        assert len(seconds) == len(tokens) == row[f"inference.batch{size}.calls"] >= 20
        assert seconds.sum() >= 0.1
        assert seconds.dtype == np.float64
        assert tokens.min() >= size
        for rank in (50, 90, 95, 99):
            expected = 1000 * np.percentile(seconds, rank)
            assert row[f"inference.batch{size}.p{rank}_ms"] == pytest.approx(expected, abs=1e-4)
        rate = size * len(seconds) / seconds.sum()
        assert row[f"inference.batch{size}.texts_per_second"] == pytest.approx(rate, abs=0.01)
    assert len(set(calls["tokens_8"].tolist())) > 10, "texts of other lengths in each call"
    phases = sum(row[f"phase.{name}.seconds"] for name in ("reload_import", "cold_load", "first_prediction"))
    assert phases < row["inference.cold_start_seconds"] < phases + 5
    assert row["environment.packages"] == len((folder / "packages.txt").read_text(encoding="utf-8").splitlines())
    if recipe == "torch":  # 19 steps
        steps = [row[f"train.step_seconds_{which}"] for which in ("p10", "median", "p90")]
        assert 0 < steps[0] <= steps[1] <= steps[2] < row["train.seconds"] / 5
        assert 0 < row["train.first_step_seconds"] < row["train.seconds"]
        assert row["compute.useful_gflop"] > 1
        share = row["compute.useful_gflop"] / row["train.seconds"] / row["compute.peak_gflops"]
        assert row["compute.share_of_peak"] == pytest.approx(share, abs=1e-4)
        assert 0 < share < 1
    busy = row["machine.load"] > 0.05 or row["machine.steal"] > 0.02 or row["machine.busiest"] > 0.15
    assert (row["machine.quiet"], row["timing"]) == ((False, "noisy") if busy else (True, "ok"))
    assert ("no timing" in said) == busy
