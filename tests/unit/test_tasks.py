"""The tasks: losses against formulas of their own and by their properties, labels on disk, ragged predictions."""

import math

import numpy as np
import pytest
from job_support import a_job

from recipes.contract import ragged
from recipes.contract.job import Job, Rows
from recipes.contract.ragged import Ragged
from recipes.contract.split import predict_split
from recipes.contract.tasks import IGNORED, TASKS

ROWS, NAMES = 40, 5


@pytest.fixture(params=TASKS)
def task(request):
    return TASKS[request.param]


def drawn(task, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return outputs and labels of ROWS items, flat; some tokens have no tag."""
    draw = np.random.default_rng(seed)
    outputs = draw.normal(0, 3, (ROWS, task.outputs(range(NAMES))))
    labels = {
        "classification": draw.integers(0, NAMES, ROWS),
        "multilabel": draw.integers(0, 2, (ROWS, NAMES)),
        "tagging": np.where(np.arange(ROWS) % 7 == 3, IGNORED, draw.integers(0, NAMES, ROWS)),
        "regression": draw.normal(0, 3, ROWS),
    }[task.name]
    return outputs, labels.astype(task.dtype)


def by_hand(task, outputs: np.ndarray, label: np.ndarray) -> float:
    """Return the loss of one item, by the plainest formula, of Python's own numbers."""
    if task.name == "regression":
        return (float(outputs[0]) - float(label)) ** 2
    if task.name == "multilabel":
        chances = [1 / (1 + math.exp(-x)) for x in outputs]
        return -sum(math.log(p if holds else 1 - p) for p, holds in zip(chances, label, strict=True)) / len(chances)
    return -math.log(math.exp(outputs[label]) / sum(math.exp(x) for x in outputs))


def test_each_item_has_the_loss_of_the_plain_formula(task):
    outputs, labels = drawn(task)
    found = task.loss(outputs, labels)
    valid = [row for row in range(ROWS) if task.name != "tagging" or labels[row] != IGNORED]
    expected = [by_hand(task, outputs[row], labels[row]) for row in valid]
    np.testing.assert_allclose(found.each[valid], expected, rtol=1e-12)
    assert found.valid == len(valid)
    assert found.summed == pytest.approx(math.fsum(expected), rel=1e-12)
    assert found.mean == pytest.approx(math.fsum(expected) / len(valid), rel=1e-12)


def test_what_is_masked_does_not_count_whatever_its_label_is(task):
    outputs, labels = drawn(task)
    mask = np.arange(ROWS) % 3 > 0
    wild = labels.copy()
    wild[~mask] = 99
    found, kept = task.loss(outputs, wild, mask), task.loss(outputs[mask], labels[mask])
    assert found.valid == kept.valid < ROWS
    assert found.summed == pytest.approx(kept.summed, rel=1e-12)
    assert (found.each[~mask] == 0).all()
    nothing = task.loss(outputs, labels, np.zeros(ROWS, bool))
    assert (nothing.summed, nothing.valid, nothing.mean) == (0, 0, 0)


def test_a_batch_is_the_sum_of_its_parts(task):
    outputs, labels = drawn(task)
    whole = task.loss(outputs, labels)
    parts = [task.loss(outputs[at], labels[at]) for at in (slice(0, 1), slice(1, 17), slice(17, ROWS))]
    assert sum(part.summed for part in parts) == pytest.approx(whole.summed, rel=1e-12)
    assert sum(part.valid for part in parts) == whole.valid


def test_the_gradient_is_activation_less_truth(task):
    """Of cross entropies it is softmax or sigmoid less the truth; of the squared error twice the difference."""
    outputs, labels = drawn(task)
    outputs, labels = outputs[:6], labels[:6]
    truth = {"regression": labels[:, None], "multilabel": labels}.get(task.name)
    if truth is None:
        truth = np.eye(NAMES)[np.maximum(labels, 0)]
    scale = {"regression": 2, "multilabel": 1 / NAMES}.get(task.name, 1)
    expected = scale * (task.activation(outputs) - truth)
    if task.name == "tagging":
        expected[labels == IGNORED] = 0
    step, found = 1e-5, np.zeros_like(outputs)
    for at in np.ndindex(outputs.shape):
        nudge = np.zeros_like(outputs)
        nudge[at] = step
        found[at] = (task.loss(outputs + nudge, labels).summed - task.loss(outputs - nudge, labels).summed) / (2 * step)
    np.testing.assert_allclose(found, expected, atol=1e-7)


@pytest.mark.parametrize("name", ["classification", "multilabel", "tagging"])
def test_large_logits_overflow_nowhere(name):
    task = TASKS[name]
    outputs = np.array([[1e4, -1e4], [-1e4, 1e4]], np.float32)
    wrong = np.array([[0, 1], [1, 0]]) if name == "multilabel" else np.array([1, 0])
    with np.errstate(over="raise", invalid="raise"):
        each = task.loss(outputs, wrong).each
        activated = task.activation(outputs)
    np.testing.assert_allclose(each, [1e4, 1e4] if name == "multilabel" else [2e4, 2e4])
    np.testing.assert_array_equal(activated, [[1, 0], [0, 1]])


def test_padded_tokens_have_the_loss_of_flat_ones():
    task = TASKS["tagging"]
    outputs, labels = drawn(task)
    lengths = [3, 20, 17]
    rows = Ragged(labels, np.cumsum([0, *lengths]))
    padded, tags = np.zeros((3, 20, NAMES)), np.full((3, 20), IGNORED)
    for row, length in enumerate(lengths):
        padded[row, :length], tags[row, :length] = outputs[rows.offsets[row] :][:length], rows[row]
    flat = task.loss(Ragged(outputs, rows.offsets), rows)
    assert task.loss(padded, tags).summed == pytest.approx(flat.summed, rel=1e-12)
    assert task.loss(padded, tags).valid == flat.valid == (labels != IGNORED).sum()


def test_answers_are_labels_as_a_split_has_them():
    assert TASKS["classification"].answers(np.array([[1, 3, 2], [9, 0, 0]])).tolist() == [1, 0]
    assert TASKS["multilabel"].answers(np.array([[1.0, -3, 0], [-1, -1, -1]])).tolist() == [[1, 0, 0], [0, 0, 0]]
    assert TASKS["regression"].answers(np.array([[1.5], [-2]], np.float32)).tolist() == [1.5, -2]
    for task in TASKS.values():
        assert task.answers(drawn(task)[0]).dtype == task.dtype


def test_a_job_tells_its_task_and_a_split_opens_its_labels(tmp_path, task):
    outputs, labels = drawn(task)
    written = Ragged(labels, np.array([0, 3, 23, ROWS])) if task.name == "tagging" else labels
    task.write(written, tmp_path)
    rows = 3 if task.name == "tagging" else ROWS
    np.arange(rows).tofile(tmp_path / "row_ids.bin")
    Ragged.of([np.zeros(2, np.uint8)] * rows).write(tmp_path, "texts")
    names = ("salary",) if task.name == "regression" else tuple("abcde")
    a_job(tmp_path, labels=names, task=task, splits={"train": Rows(tmp_path)}).write()
    job = Job.read(tmp_path / "job.json")
    split = job.split("train")
    assert (job.task, job.outputs, len(split)) == (task, outputs.shape[1], rows)
    np.testing.assert_array_equal(ragged.flat(split.labels), labels)
    assert ragged.flat(split.labels).dtype == task.dtype
    if task.name == "tagging":
        assert split.labels[1].tolist() == labels[3:23].tolist()


def test_a_job_from_before_there_were_tasks_is_a_classification(tmp_path):
    a_job(tmp_path).write()
    path = tmp_path / "job.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"task": "classification"', '"rows": 1'), encoding="utf-8")
    with pytest.raises(TypeError, match="rows"):
        Job.read(path)  # the key is really gone
    path.write_text(path.read_text(encoding="utf-8").replace(',\n  "rows": 1', ""), encoding="utf-8")
    assert Job.read(path).task.name == "classification"


def test_predictions_of_tokens_come_in_the_order_of_the_rows(tmp_path, monkeypatch):
    lengths = np.random.default_rng(0).integers(1, 9, 30)
    ids = Ragged(np.arange(lengths.sum(), dtype=np.int32), np.cumsum([0, *lengths]))
    ids.write(tmp_path, "token_ids")
    Ragged.of([np.zeros(1, np.uint8)] * 30).write(tmp_path, "texts")
    np.arange(30).tofile(tmp_path / "row_ids.bin")
    job = a_job(tmp_path, task=TASKS["tagging"], labels=("O", "B"), splits={"test": Rows(tmp_path, tmp_path)})

    def predict(batch):
        return [np.stack([row, -row], 1) for row in batch.token_ids]

    monkeypatch.setattr("recipes.contract.split.PREDICT_BATCH", 7)
    found = predict_split(predict, job.split("test"))
    assert (found.dtype, found.shape) == (np.float32, (lengths.sum(), 2))
    np.testing.assert_array_equal(found[:, 0], ids.values)
