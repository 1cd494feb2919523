"""The splits: stratified, no text in two, whatever the row order; the report; what makes a new entry."""

import json
import os
import random
import subprocess
import sys
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from data_support import from_file, jobs, rows_of, settings, write_csv, write_json_lines
from support import ROOT

from harness.base.errors import UserError
from harness.inputs.data.split import apportion, cut, nested, rows_wanted

CASES = range(30)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("FINETUNE_RECIPES_HOME", str(tmp_path / "home"))


def drawn(seed):
    """Return random hashes (some texts several times, even with several labels) and labels of 2 to 8 classes."""
    rng = np.random.default_rng(seed)
    rows, classes = int(rng.integers(60, 600)), int(rng.integers(2, 9))
    labels = rng.choice(classes, rows, p=rng.dirichlet(np.full(classes, 2.0)))
    labels = np.unique(np.concatenate([labels, np.arange(classes)]), return_inverse=True)[1].astype(np.int32)
    texts = rng.integers(0, 2**63, len(labels), dtype=np.uint64)
    repeated = rng.integers(0, len(labels), len(labels) // 5)
    texts[repeated] = texts[rng.integers(0, len(labels), len(repeated))]
    return texts, labels


@pytest.mark.parametrize("seed", CASES)
def test_cut_keeps_texts_together_and_is_stratified(seed):
    hashes, labels = drawn(seed)
    wanted = {2: len(labels) // 8, 1: len(labels) // 10}
    split = cut(hashes, labels, wanted)
    assert all(len(set(split[hashes == text])) == 1 for text in hashes)
    assert (np.bincount(labels[split == 0], minlength=labels.max() + 1) > 0).all()
    for number, total in wanted.items():
        counts = np.bincount(labels[split == number], minlength=labels.max() + 1)
        assert abs(counts.sum() - total) <= 3
        assert np.abs(counts - total * np.bincount(labels) / len(labels)).max() < 6


@pytest.mark.parametrize("seed", CASES)
def test_cut_does_not_depend_on_the_row_order(seed):
    hashes, labels = drawn(seed)
    order = np.random.default_rng(seed).permutation(len(labels))
    wanted = {2: len(labels) // 8, 1: len(labels) // 10}
    assert (cut(hashes, labels, wanted)[order] == cut(hashes[order], labels[order], wanted)).all()


@pytest.mark.parametrize("seed", CASES)
def test_nested_is_nested_and_stratified(seed):
    hashes, labels = drawn(seed)
    classes, smaller = labels.max() + 1, np.zeros(len(labels), bool)
    for wanted in range(classes, len(labels), 7):
        mask = nested(hashes, labels, wanted)
        assert mask.sum() == wanted
        assert not (smaller & ~mask).any()
        assert len(np.unique(labels[mask])) == classes
        expected = wanted * np.bincount(labels) / len(labels)
        assert np.abs(np.bincount(labels[mask]) - expected).max() <= classes
        smaller = mask


@pytest.mark.parametrize("seed", CASES)
def test_apportion(seed):
    rng = np.random.default_rng(seed)
    weights = rng.integers(1, 100, 8)
    capacity = np.maximum(weights - rng.integers(0, 60, 8), 0)
    total = int(rng.integers(0, weights.sum()))
    share = apportion(total, weights, capacity)
    assert share.sum() == min(total, capacity.sum())
    assert (share <= capacity).all()
    free = apportion(total, weights, weights)
    assert np.abs(free - total * weights / weights.sum()).max() < 1


def test_the_largest_remainders_take_what_is_left_and_of_equal_ones_the_first():
    weights = np.array([50, 30, 20])
    assert apportion(11, weights, weights).tolist() == [6, 3, 2], "5.5, 3.3 and 2.2"
    assert apportion(11, weights, np.array([4, 9, 9])).tolist() == [4, 4, 3], "what is full passes on to the others"
    alike = np.full(40, 3)
    assert apportion(53, alike, alike).tolist() == [2] * 13 + [1] * 27


@pytest.mark.parametrize(("size", "rows"), [(7, 7), (0.25, 25), (0.004, 1), (0.006, 1), (0.016, 2)])
def test_a_share_is_of_all_rows_and_at_least_one(size, rows):
    assert rows_wanted(size, 100) == rows


def counted(labels, wanted, hashes=None):
    """Return how many rows of each label each split has: train, then those wanted."""
    labels = np.array(labels)
    hashes = np.arange(len(labels)) if hashes is None else np.array(hashes)
    split = cut(hashes.astype(np.uint64), labels, wanted)
    assert split.dtype == np.int8
    return [np.bincount(labels[split == one], minlength=labels.max() + 1).tolist() for one in (0, *wanted)]


def test_each_class_keeps_one_row_in_train_whatever_is_asked_for():
    assert counted([0] + [1] * 9, {2: 10}) == [[1, 1], [0, 8]]
    assert counted([0] * 10, {2: 6, 1: 6}) == [[1], [6], [3]], "what test took, valid cannot have"


def test_rows_count_and_not_texts():
    """Of 20 rows each, where ten of one class are one text: a half of each."""
    assert counted([0] * 20 + [1] * 20, {2: 20}, [0] * 10 + list(range(1, 31))) == [[10, 10], [10, 10]]


def test_a_class_takes_its_next_row_where_it_is_furthest_behind():
    """Sainte-Laguë: row i (from 0) of a class of n at (i + 1/2) / n, behind one row of each; here of 6 and 3 rows.

    a: 1.5/6, 2.5/6, 3.5/6, 4.5/6, 5.5/6; b: 1.5/3, 2.5/3.
    """
    labels, hashes = np.array([0] * 6 + [1] * 3), np.arange(9, dtype=np.uint64)
    masks = [nested(hashes, labels, wanted) for wanted in range(10)]
    taken = [labels[now & ~before].tolist() for before, now in zip(masks, masks[1:], strict=False)]
    assert sum(taken, []) == [0, 1, 0, 0, 1, 0, 0, 1, 0]


def test_one_file_is_split_in_three_whatever_its_order(tmp_path):
    rows = jobs(200) + jobs(200)[:30]
    data = from_file(write_csv(tmp_path / "a.csv", rows))
    random.Random(0).shuffle(rows)
    other = from_file(write_csv(tmp_path / "b.csv", rows))
    for split in ("train", "valid", "test"):
        assert sorted(row[1:] for row in rows_of(data, split)) == sorted(row[1:] for row in rows_of(other, split))
        assert [r[0] for r in rows_of(data, split)] == sorted(r[0] for r in rows_of(data, split))  # the file's order
    texts = [{text for _, text, _ in rows_of(data, split)} for split in ("train", "valid", "test")]
    assert not (texts[0] & texts[1] or texts[0] & texts[2] or texts[1] & texts[2])
    assert [data.report["splits"][split]["rows"] for split in ("valid", "test")] == [23, 23]
    counts = Counter(label for _, _, label in rows_of(data, "test"))
    assert set(counts.values()) == {11, 12}


def test_sizes_and_seed(tmp_path):
    path = write_csv(tmp_path / "a.csv", jobs(200))
    small, large = (from_file(path, valid_size=20, test_size=0.25, train_size=size) for size in (10, 60))
    assert set(rows_of(small, "train")) < set(rows_of(large, "train"))
    assert rows_of(small, "valid", "test") == rows_of(large, "valid", "test")
    assert [small.report["splits"][s]["rows"] for s in ("train", "valid", "test")] == [10, 20, 50]
    other = from_file(path, split_seed=1)
    assert other.digest != from_file(path).digest
    assert sorted(rows_of(other)) == sorted(rows_of(from_file(path)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"valid_size": 0}, "data.valid_size=0: give a number"),
        ({"test_size": 1.0}, "data.test_size=1.0: give"),
        ({"valid_size": None}, "data.valid_size=None: give"),
        ({"train_size": True}, "data.train_size=True: give .* or null for all"),
        ({"train_size": "many"}, "data.train_size=many"),
        ({"split_seed": 0.5}, "data.split_seed=0.5"),
        ({"train_size": 500}, "there are 160 rows for train"),
        ({"valid_size": 150, "test_size": 60}, "has 200 rows: data.test_size=60, data.valid_size=150 leaves none"),
        ({"train_size": 1}, "1 rows for train are fewer than the 2 classes"),
    ],
)
def test_unusable_sizes(tmp_path, changes, message):
    with pytest.raises(UserError, match=message):
        from_file(write_csv(tmp_path / "a.csv", jobs(200)), **changes)


def test_given_splits_are_taken_as_they_are(tmp_path):
    train, valid, test = jobs(50), [("new", "care"), *jobs(5)], [*jobs(2), ("newer", "kitchen"), ("newer", "care")]
    paths = [write_csv(tmp_path / f"{i}.csv", rows) for i, rows in enumerate((train, valid, test))]
    data = from_file(paths[0], valid=str(paths[1]), test=str(paths[2]), valid_size=None)
    for split, rows in (("train", train), ("valid", valid), ("test", test)):
        assert [row[1:] for row in rows_of(data, split)] == rows
    assert np.fromfile(data.folder / "test" / "seen.bin", np.uint8).tolist() == [1, 1, 0, 0]
    splits = data.report["splits"]
    assert splits["valid"]["seen_in_train"] == 5
    assert splits["test"]["duplicates"] == 1
    assert splits["test"]["labels"] == {"care": 2, "kitchen": 2}
    assert splits["test"]["characters"]["max"] == len("cook in a hotel 0")
    assert set(data.report["source"]) == {"train", "valid", "test"}
    cut_from_train = from_file(paths[0], test=str(paths[2]))
    assert [row[1:] for row in rows_of(cut_from_train, "test")] == test
    assert sorted(row[1:] for row in rows_of(cut_from_train, "train", "valid")) == sorted(train)


def test_a_text_with_two_labels_leaves_no_class_without_rows(tmp_path):
    rows = [("both", "common")] * 5 + [("both", "rare")] + [(f"t{i}", "common") for i in range(40)]
    data = from_file(write_csv(tmp_path / "a.csv", rows))
    assert ("both", "rare") in [row[1:] for row in rows_of(data, "train")]


def entries(tmp_path):
    return sorted(path.name for path in (tmp_path / "home" / "data").iterdir() if path.is_dir())


def test_only_what_changes_the_result_makes_a_new_entry(tmp_path, monkeypatch):
    path = write_csv(tmp_path / "a.csv", jobs(100))
    data = from_file(path)
    os.utime(path, (1, 1))
    path = path.rename(tmp_path / "other.csv")
    monkeypatch.setattr("harness.inputs.data.build.build", None)  # nothing is made again
    same = from_file(path, max_length=7)
    assert replace(same, report={}) == replace(data, report={})
    assert same.report["source"]["train"]["file"] == str(path)
    monkeypatch.undo()
    monkeypatch.setenv("FINETUNE_RECIPES_HOME", str(tmp_path / "home"))
    assert len(entries(tmp_path)) == 1
    times = path.stat()
    path.write_bytes(path.read_bytes().replace(b"night", b"eight", 1))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    changed = from_file(path)
    assert changed.digest != data.digest
    from_file(path, split_seed=3)
    assert len(entries(tmp_path)) == 3


def test_digest_is_of_texts_and_labels(tmp_path):
    rows = jobs(40)
    data = from_file(write_csv(tmp_path / "a.csv", rows))
    shifted = [{"text": "", "label": "care"}] + [{"text": text, "label": label} for text, label in rows]
    path = write_json_lines(tmp_path / "a.jsonl", shifted)
    assert from_file(path, empty_rows="drop").digest == data.digest  # other row numbers
    renamed = [(text, label.replace("care", "Care")) for text, label in rows]
    assert from_file(write_csv(tmp_path / "b.csv", renamed)).digest != data.digest


def test_many_rows_pass_in_bounded_memory(tmp_path):
    """A file twice as long must not take more memory than what a row costs: a hash, a label, a number, a length."""

    def peak(rows: int) -> int:
        file = tmp_path / f"{rows}.csv"
        with open(file, "w", encoding="utf-8") as handle:
            handle.write("text,label\n")
            for number in range(rows):
                handle.write(f"{'a posting of about three hundred characters ' * 7}{number},{number % 7}\n")
        code = (
            "import json, resource, sys; from harness.inputs.data import prepare; prepare(json.loads(sys.argv[1]));"
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
        )
        config = settings("csv", train=str(file), text="text", label="label", train_size=None)
        done = subprocess.run(
            [sys.executable, "-c", code, json.dumps(config)], cwd=ROOT, capture_output=True, text=True
        )
        return int(done.stdout.splitlines()[-1]) * 1024

    few, many = peak(20_000), peak(80_000)
    assert (many - few) / 60_000 < 150  # bytes a row, of the 312 it has
