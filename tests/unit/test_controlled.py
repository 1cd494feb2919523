"""The controlled protocol's files: one head, one order of batches, the same for every library."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from job_support import a_job

from harness.inputs import controlled
from recipes.contract.job import Job, Placement, Train
from recipes.contract.split import order_of_like_length

LENGTHS = np.random.default_rng(1).integers(1, 100, 1003)


@pytest.fixture
def job(tmp_path, monkeypatch):
    """A job of three classes and two epochs, with batches of ten."""
    monkeypatch.setattr(Job, "split", lambda self, name: SimpleNamespace(lengths=LENGTHS))
    job = a_job(tmp_path, seed=7, labels=("a", "b", "c"), protocol="controlled", train=Train(2, 10), pooling="mean")
    controlled.write(job, hidden=16)
    return job


def batches(job: Job, epoch: int) -> list[np.ndarray]:
    return job.batches(job.order(epoch))


def test_each_epoch_has_every_row_once_in_another_order(job):
    epochs = [np.concatenate(batches(job, epoch)) for epoch in range(2)]
    for order in epochs:
        np.testing.assert_array_equal(np.sort(order), np.arange(1003))
    assert (epochs[0] != epochs[1]).mean() > 0.9


def test_batches_are_full_but_the_last(job):
    assert [len(batch) for batch in batches(job, 0)] == [10] * 100 + [3]


def test_with_accumulation_the_steps_are_the_same_each_in_as_many_batches(job):
    steps = batches(job, 0)
    job = replace(job, train=Train(2, 5, accumulate=2))
    halves = batches(job, 0)
    assert len(halves) == 2 * len(steps)
    for number, step in enumerate(steps):
        np.testing.assert_array_equal(np.concatenate(halves[2 * number : 2 * number + 2]), step)
        assert abs(len(halves[2 * number]) - len(halves[2 * number + 1])) <= 1
    assert job.rows_in_step(0, 1003) == 10
    assert job.rows_in_step(100, 1003) == 3
    job = replace(job, train=Train(2, 1, accumulate=10))
    assert [len(batch) for batch in batches(job, 0)[-10:]] == [1] * 10, "the last step has three rows for ten batches"


def test_texts_of_a_batch_are_of_like_length(job):
    spread = np.mean([np.ptp(LENGTHS[batch]) for batch in batches(job, 0)])
    assert spread < 0.1 * np.mean([np.ptp(LENGTHS[start : start + 10]) for start in range(0, 1000, 10)])


def test_a_length_does_not_tell_when_its_batch_comes(job):
    means = [LENGTHS[batch].mean() for batch in batches(job, 0)]
    assert abs(np.corrcoef(means, np.arange(len(means)))[0, 1]) < 0.4


def test_packed_the_order_is_the_same_and_in_native_the_steps_have_about_as_many_tokens(job):
    np.testing.assert_array_equal(replace(job, packed=True).order(1), job.order(1))
    native, tokens = replace(job, protocol="native"), []
    for one in (native, replace(native, packed=True)):
        order = one.order(0)
        np.testing.assert_array_equal(np.sort(order), np.arange(1003))
        tokens.append([LENGTHS[rows].sum() for rows in one.steps(order)[:-1]])
    assert 2 * np.std(tokens[1]) < np.std(tokens[0])


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
        controlled.write(replace(job, folder=tmp_path / str(seed), seed=seed), hidden=16)
        for name in ("head.npz", "order.npy"):
            assert ((tmp_path / str(seed) / name).read_bytes() == (tmp_path / name).read_bytes()) == same


@pytest.mark.parametrize(("processes", "size", "accumulate"), [(2, 5, 1), (5, 1, 2)])
def test_several_processes_share_the_steps_of_one(job, monkeypatch, processes, size, accumulate):
    """Each takes a batch in turn; the rows of a step are those that one process would have taken."""
    steps = batches(job, 0)
    job = replace(job, train=Train(2, size, accumulate), placement=Placement(processes))
    monkeypatch.setenv("WORLD_SIZE", str(processes))
    shares, parts = batches(job, 0), processes * accumulate
    assert len(shares) == len(steps) * parts
    for number, step in enumerate(steps[:-1]):
        np.testing.assert_array_equal(np.concatenate(shares[parts * number : parts * (number + 1)]), step)
    assert set(np.concatenate(shares[-parts:])) == set(steps[-1])
