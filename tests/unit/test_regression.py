"""A number a text: read as people write numbers, scaled by train, scored and answered in its own unit."""

import numpy as np
import pytest
from data_support import settings, write_csv, write_json_lines
from scipy import stats

from harness.base.errors import UserError
from harness.figures.metrics import METRICS, regression
from harness.figures.metrics.counts import share
from harness.figures.outputs import of_split
from harness.inputs.data import prepare
from harness.inputs.data.cells import NoNumber, Number, number
from harness.use.answers import OneNumber
from recipes.contract.split import Split
from recipes.contract.tasks import TASKS

TASK = TASKS["regression"]


def offers(rows=80):
    return [(f"offre {row}", 20_000 + 500 * row) for row in range(rows)]


def prepared(path, **changes):
    return prepare(settings("csv", train=str(path), text="text", label="label", **changes), "regression")


@pytest.mark.parametrize(
    ("cell", "value"),
    [("35000", 35000), ("35 000", 35000), ("35\u202f000,50", 35000.5), ("-1.5e3", -1500), (" 12 ", 12), (7, 7),
     (2.5, 2.5), ("1,5", 1.5), ("1234,5", 1234.5), ("0,25", 0.25), ("0,125", 0.125),
     ("24 500 €", 24500), ("€24,500.50", 24500.5), ("24.500,50", 24500.5), ("24'500", 24500), ("12,345,678", 12345678),
     ("24.5", 24.5), ("1 234.567", 1234.567)],
)  # fmt: skip
def test_numbers_are_read_as_people_write_them(cell, value):
    assert number(cell) == value
    assert isinstance(number(cell), Number)


@pytest.mark.parametrize(
    "cell",
    [
        "",
        "35k",
        "1,234",
        "24 50",
        "35 40",
        "24 5000",
        "1,234,567,8",
        "nan",
        "inf",
        True,
        None,
        [1],
        "1.2.3",
        "à débattre",
    ],
)
def test_what_is_no_number_or_may_be_two_is_none(cell):
    assert isinstance(number(cell), NoNumber)


@pytest.mark.parametrize(
    ("label", "said"),
    [
        ("35k", "a label that is no number (35000, 35 000,50 and 24 500 € are): row 3"),
        ("1,234", "a number with a comma that may part thousands or decimals: write 1234 or 1.234: row 3"),
        ("", "an empty label: row 3"),
        ("NaN", "an empty label (`NaN`): row 3"),
        ("inf", "a number that is not finite: row 3"),
    ],
)
def test_what_is_no_number_is_told_with_its_row(label, said, tmp_path):
    rows = [*offers(20)]
    rows[2] = ("offre", label)
    with pytest.raises(UserError) as error:
        prepared(write_csv(tmp_path / "offers.csv", rows))
    assert said in str(error.value)


@pytest.mark.parametrize(("others", "told"), [("30000", True), ("30.5", False)])
def test_a_point_that_may_part_thousands_is_told_where_no_other_has_decimals(others, told, tmp_path):
    rows = [(f"offre {row}", "24.500" if row == 2 else others if row % 2 else row) for row in range(40)]
    data = prepared(write_csv(tmp_path / "offers.csv", rows))
    assert any("1 numbers have a point before three digits" in line for line in data.report["told"]) == told


def test_numbers_are_scaled_by_those_of_train_and_stratified(tmp_path):
    path = write_csv(tmp_path / "offers.csv", offers())
    data = prepared(path, valid_size=0.25, test_size=0.25)
    assert data.labels == ["label"]
    splits = {name: Split(name, data.folder / name, None, TASK, 1) for name in ("train", "valid", "test")}
    train = splits["train"].labels
    assert (train.dtype, train.shape) == (np.float32, (40,))
    assert train.mean() == pytest.approx(0, abs=1e-6)
    assert train.std() == pytest.approx(1, rel=1e-6)
    mean, deviation = data.scale
    for split in splits.values():
        for row in range(len(split)):
            assert deviation * split.labels[row] + mean == pytest.approx(dict(offers())[split.text(row)], rel=1e-5)
        own = deviation * split.labels + mean
        assert (np.histogram(own, 8, (20_000, 59_500))[0] > 0).all(), "each split has low numbers and high ones"
    assert data.report["splits"]["test"]["label"]["max"] <= 20_000 + 500 * 79
    lines = write_json_lines(tmp_path / "a.jsonl", [{"text": text, "label": value} for text, value in offers()])
    assert prepared(lines, valid_size=0.25, test_size=0.25).digest == data.digest


def test_one_number_alone_is_nothing_to_learn(tmp_path):
    with pytest.raises(UserError, match="all rows have the number 5: there is nothing to learn"):
        prepared(write_csv(tmp_path / "offers.csv", [(f"offre {row}", 5) for row in range(20)]))


def test_the_figures_are_in_the_number_s_own_unit():
    draw = np.random.default_rng(0)
    true = draw.normal(30_000, 8_000, 200)
    scaled, noise = ((true - 30_000) / 8_000).astype(np.float32), draw.normal(0, 0.3, 200).astype(np.float32)
    saved = {"labels": scaled, "logits": (scaled + noise)[:, None], "row_ids": np.arange(200)}
    labels, outputs = of_split("regression", saved, (30_000.0, 8_000.0))
    found = regression.scores(labels, outputs, ["salaire"])
    error = 8_000 * noise.astype(np.float64)
    assert found["mae"] == pytest.approx(np.abs(error).mean(), rel=1e-5)
    assert found["rmse"] == pytest.approx(np.sqrt((error**2).mean()), rel=1e-5)
    assert found["r2"] == pytest.approx(1 - (error**2).sum() / ((true - true.mean()) ** 2).sum(), rel=1e-4)
    assert found["spearman"] == pytest.approx(stats.spearmanr(true, true + error).statistic, rel=1e-4)
    counted = METRICS["regression"].counted["mae"]
    sums = counted.counts(labels, outputs)[:, 0].sum(0)
    assert share(sums) == pytest.approx(found["mae"])
    assert regression.scores(labels[:5], np.zeros((5, 1)), ["salaire"])["spearman"] == 0


def test_an_answer_is_a_number_in_its_unit_and_none_of_an_empty_text():
    answers = OneNumber(TASK, ["salaire"], (30_000.0, 8_000.0))
    outputs = np.array([[0.5], [np.nan]], np.float32)
    assert list(answers.rows(outputs)) == [[34_000.0], [None]]
    assert answers.added("") == ["number"]
    assert next(answers.lines(outputs)) == ["salaire: 34000"]
