"""What says the label outright: settings that cannot be meant, and columns that are told."""

import random
import shutil

import numpy as np
import pytest
from data_support import from_file, jobs, settings, write_csv

from harness.base.errors import UserError
from harness.inputs.data import leaks, prepare

CODES = {"Santé": ["J11", "J12", "J15"], "BTP": ["F11", "F16"], "Commerce": ["D12", "D14", "D15", "D11"]}


@pytest.fixture(autouse=True)
def home(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("FINETUNE_RECIPES_HOME", str(tmp_path_factory.getbasetemp() / "home"))


def offers(number, wrong=0.0):
    """Return rows of title, department, code, label: the code is the label's, but for a share of `wrong` ones."""
    draw = random.Random(0)
    rows = []
    for row in range(number):
        label = draw.choice(list(CODES))
        code = draw.choice(CODES[label if draw.random() >= wrong else draw.choice(list(CODES))])
        rows.append((f"poste {row}", f"{draw.randrange(1, 96):02}", code, label))
    return rows


HEADER = ("titre", "département", "code", "label")


def test_a_column_that_predicts_the_label_is_told(tmp_path, capsys):
    path = write_csv(tmp_path / "a.csv", offers(400), HEADER)
    for _ in range(2):  # also where the data lies prepared
        data = from_file(path, text=["titre", "code"])
        assert "column `code` predicts the label without the rest: 9 of 9 repeated" in capsys.readouterr().err
    assert data.report["predicts_label"] == [
        {"columns": ["code"], "repeated_values": 9, "with_one_label": 9, "rows": 400}
    ]


@pytest.mark.parametrize("text", [["titre"], ["titre", "département"], ["département"]])
def test_a_column_that_does_not_is_no_alarm(tmp_path, text):
    data = from_file(write_csv(tmp_path / "a.csv", offers(1000), HEADER), text=text, test_size=10, valid_size=10)
    assert data.report["predicts_label"] == []


def test_a_code_that_is_often_another_label_is_no_alarm(tmp_path):
    path = write_csv(tmp_path / "a.csv", offers(1000, wrong=0.2), HEADER)
    assert from_file(path, text=["titre", "code"]).report["predicts_label"] == []


def test_rows_that_a_file_holds_three_times_are_no_alarm(tmp_path):
    rows = [(title, department, label) for title, department, _, label in offers(300)]
    path = write_csv(tmp_path / "a.csv", rows * 3, ("titre", "département", "label"))
    for text in (["titre"], ["titre", "département"]):
        assert from_file(path, text=text).report["predicts_label"] == []


def test_a_code_that_is_all_of_the_text_is_told(tmp_path):
    path = write_csv(tmp_path / "a.csv", [(f"code {row % 90}", "abc"[row % 3]) for row in range(1800)])
    assert [leak["columns"] for leak in from_file(path).report["predicts_label"]] == [["text"]]


def test_columns_that_predict_it_together_are_told(tmp_path):
    draw = random.Random(1)
    pairs = [(str(draw.randrange(6)), str(draw.randrange(6))) for _ in range(2000)]
    rows = [(one, other, "odd" if (int(one) + int(other)) % 2 else "even") for one, other in pairs]
    data = from_file(write_csv(tmp_path / "a.csv", rows, ("one", "other", "label")), text=["one", "other"])
    assert [leak["columns"] for leak in data.report["predicts_label"]] == [["one", "other"]]


def test_one_label_by_chance_is_counted_off():
    """Where nearly all rows have one label, nearly all values have: that says nothing."""
    draw = np.random.default_rng(0)
    values = draw.integers(1, 101, 1000).astype(np.uint64)
    for several in (leaks.SEVERAL, leaks.MANY):
        assert leaks.by_itself(values, (draw.random(1000) < 0.002).astype(np.int32), several) is None
        assert leaks.by_itself(values, (values % np.uint64(2)).astype(np.int32), several) is not None
        assert leaks.by_itself(np.zeros(1000, np.uint64), np.zeros(1000, np.int32), several) is None


@pytest.mark.parametrize(
    ("text", "label"),
    [
        (["text", "label"], "label"),
        ("label", "label"),
        (["text", "LABEL"], "label"),
        (["text", "\u200blabel\u00a0"], "label"),
    ],
)
def test_the_label_is_no_part_of_the_text(tmp_path, text, label):
    with pytest.raises(UserError, match="has the column of data.label=label") as error:
        from_file(write_csv(tmp_path / "a.csv", jobs(20)), text=text, label=label)
    assert error.value.code == 2
    with pytest.raises(UserError, match="has the column of data.label=label"):
        prepare(settings("hub", id=str(tmp_path), text=text, label=label))


def test_other_settings_that_cannot_be_meant(tmp_path):
    path = write_csv(tmp_path / "a.csv", jobs(20))
    copy = shutil.copy(path, tmp_path / "b.csv")
    (tmp_path / "c.csv").symlink_to(path)
    for changes, said in (
        ({"text": ["text", "text"]}, "names a column twice"),
        ({"test": str(path)}, "data.train and data.test are the same"),
        ({"valid": str(copy)}, "data.train and data.valid are the same"),
        ({"valid": str(tmp_path / "c.csv")}, "data.train and data.valid are the same"),
    ):
        with pytest.raises(UserError, match=said) as error:
            from_file(path, **changes)
        assert error.value.code == 2
    splits = {"train": "train", "valid": None, "test": "train"}
    with pytest.raises(UserError, match="data.train and data.test are the same") as error:
        prepare(settings("hub", id=str(tmp_path), text="text", label="label", splits=splits))
    assert error.value.code == 2
