"""The controlled protocol's files: one head, one order of batches, the same for every library."""

import json

import numpy as np
import pytest

from harness import controlled
from recipes.job import Job, order_of_like_length

LENGTHS = np.random.default_rng(1).integers(1, 100, 1003)


@pytest.fixture
def job(tmp_path):
    """A job of three classes and two epochs, with batches of ten."""
    config = {"seed": 7, "train": {"epochs": 2, "batch_size": 10}}
    controlled.write(tmp_path, config, 10, hidden=16, labels=3, lengths=LENGTHS)
    values = {"recipe": "nothing", "seed": 7, "precision": "fp32", "labels": ["a", "b", "c"], "settings": {}}
    values |= {"protocol": "controlled", "train": config["train"], "weights": None, "pooling": "mean"}
    values |= {"placement": {"num_processes": 1}}
    (tmp_path / "job.json").write_text(json.dumps(values | {"dropout": None, "splits": {}}), encoding="utf-8")
    return Job.read(tmp_path / "job.json")


def test_each_epoch_has_every_row_once_in_another_order(job):
    epochs = [np.concatenate(job.batches(epoch)) for epoch in range(2)]
    for order in epochs:
        np.testing.assert_array_equal(np.sort(order), np.arange(1003))
    assert (epochs[0] != epochs[1]).mean() > 0.9


def test_batches_are_full_but_the_last(job):
    assert [len(batch) for batch in job.batches(0)] == [10] * 100 + [3]


def test_texts_of_a_batch_are_of_like_length(job):
    spread = np.mean([np.ptp(LENGTHS[batch]) for batch in job.batches(0)])
    assert spread < 0.1 * np.mean([np.ptp(LENGTHS[start : start + 10]) for start in range(0, 1000, 10)])


def test_a_length_does_not_tell_when_its_batch_comes(job):
    means = [LENGTHS[batch].mean() for batch in job.batches(0)]
    assert abs(np.corrcoef(means, np.arange(len(means)))[0, 1]) < 0.4


@pytest.mark.parametrize(("rows", "size"), [(1, 1), (1, 8), (7, 8), (8, 8), (9, 8), (5, 1)])
def test_few_rows(rows, size):
    order = order_of_like_length(np.ones(rows), size, np.random.default_rng(0))
    assert sorted(order) == list(range(rows))


def test_the_head_is_small_random_and_the_same_for_the_same_seed(job, tmp_path):
    weight, bias = job.head()
    assert (weight.shape, weight.dtype, bias.shape, bias.dtype) == ((3, 16), np.float32, (3,), np.float32)
    assert 0.01 < weight.std() < 0.03
    assert not bias.any()
    for seed, same in ((7, True), (8, False)):
        (tmp_path / str(seed)).mkdir()
        config = {"seed": seed, "train": job.train}
        controlled.write(tmp_path / str(seed), config, 10, hidden=16, labels=3, lengths=LENGTHS)
        for name in ("head.npz", "order.npy"):
            assert ((tmp_path / str(seed) / name).read_bytes() == (tmp_path / name).read_bytes()) == same


def test_processes_with_half_the_batch_share_the_batches_of_one(tmp_path):
    steps = {}
    for processes, size in ((1, 10), (2, 5)):
        folder = tmp_path / str(processes)
        folder.mkdir()
        config = {"seed": 7, "train": {"epochs": 1, "batch_size": size}}
        controlled.write(folder, config, processes * size, hidden=16, labels=3, lengths=LENGTHS[:1000])
        none = dict.fromkeys(("recipe", "precision", "labels", "settings", "weights", "pooling", "dropout", "splits"))
        values = none | {"seed": 7, "protocol": "controlled", "train": config["train"]}
        job = Job(folder, **values, placement={"num_processes": processes})
        batches = job.batches(0)
        shares = [np.concatenate(batches[start : start + processes]) for start in range(0, len(batches), processes)]
        steps[processes] = [set(rows.tolist()) for rows in shares]
    assert steps[2] == steps[1]
