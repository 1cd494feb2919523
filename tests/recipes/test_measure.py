"""What a run says about time holds against the raw values that it leaves."""

import json
import subprocess

import numpy as np
import pytest

from harness.base import environments
from harness.figures import compute

COUNTED = """
import json, sys
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoConfig, AutoModel

for config in json.loads(sys.argv[1]):
    config = AutoConfig.for_model(**config, attn_implementation="eager")
    width = getattr(config, "hidden_size", None) or config.dim
    encoder, head = AutoModel.from_config(config), torch.nn.Linear(width, 5)
    if hasattr(encoder, "pooler"):
        encoder.pooler = None
    with FlopCounterMode(display=False) as counter:
        for length in json.loads(sys.argv[2]):
            ids = torch.arange(length)[None] + 5
            head(encoder(input_ids=ids).last_hidden_state.mean(1)).sum().backward()
    print(counter.get_total_flops())
"""
SIZES = {
    "bert": {"num_hidden_layers": 2, "hidden_size": 32, "num_attention_heads": 4, "intermediate_size": 80},
    "distilbert": {"n_layers": 3, "dim": 24, "n_heads": 2, "hidden_dim": 40},
}


def test_the_operations_of_a_training_are_those_that_pytorch_counts():
    """A text at a time, so without padding; what the libraries do beside is then nothing."""
    lengths = [1, 3, 17, 60]
    configs = [{"model_type": name, "vocab_size": 100, **sizes} for name, sizes in SIZES.items()]
    command = [environments.ensure("hf_trainer").python, "-c", COUNTED, json.dumps(configs), json.dumps(lengths)]
    counted = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    for config, operations in zip(configs, counted, strict=True):
        own = compute.training_gflop(config, np.array(lengths), 2, 5)
        assert own == pytest.approx(2 * int(operations) / 1e9, rel=1e-12), config


@pytest.mark.parametrize("recipe", ["tfidf", "torch"])
@pytest.mark.usefixtures("real_processes")
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
