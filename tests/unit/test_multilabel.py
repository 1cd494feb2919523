"""Any number of labels a text: read from lists and from cells, split, reported; which task a run has; its figures."""

import json

import numpy as np
import pytest
from data_support import settings, write_csv, write_json_lines
from hydra import compose, initialize_config_dir
from sklearn.metrics import average_precision_score, f1_score

from harness.base.errors import UserError
from harness.config import CONF, checked, choices
from harness.config import tasks as of_config
from harness.config.tasks import tasks, usable
from harness.figures.metrics import multilabel
from harness.figures.summary import figures
from harness.inputs.data import prepare
from harness.runs.row import Row
from harness.use.answers import SeveralLabels, separator_of
from recipes.contract.split import Split
from recipes.contract.tasks import TASKS

JOBS = [("cook in a hotel", ["food", "hotel"]), ("night nurse", ["care"]), ("porter", []), ("pastry chef", ["food"])]


def jobs(number):
    return [(f"{text} {i}", labels) for i, (text, labels) in enumerate(JOBS * (number // 4 + 1))][:number]


def several(train, **changes):
    return prepare(settings("csv", train=str(train), text="text", label="label", **changes), "multilabel")


def rows_of(data):
    """Return text and label names of all rows, as a recipe reads them."""
    found = {}
    for name in ("train", "valid", "test"):
        split = Split(name, data.folder / name, None, TASKS[data.task], len(data.labels))
        assert split.labels.shape == (len(split), len(data.labels))
        for row in range(len(split)):
            found[split.text(row)] = [data.labels[place] for place in np.flatnonzero(split.labels[row])]
    return found


@pytest.fixture
def as_cells(tmp_path):
    rows = [(text, " ; ".join(labels)) for text, labels in jobs(80)]
    return write_csv(tmp_path / "jobs.csv", rows)


@pytest.fixture
def as_lists(tmp_path):
    rows = [{"text": text, "label": labels} for text, labels in jobs(80)]
    return write_json_lines(tmp_path / "jobs.jsonl", rows)


def test_lists_and_parted_cells_are_the_same_data(as_cells, as_lists):
    cells, lists = several(as_cells, label_separator=";"), several(as_lists)
    assert cells.labels == lists.labels == ["care", "food", "hotel"]
    assert rows_of(cells) == rows_of(lists) == dict(jobs(80))
    assert cells.digest == lists.digest


def test_which_labels_a_text_has_is_a_part_of_the_digest(tmp_path):
    rows = jobs(80)
    digests = set()
    for number, labels in enumerate([["food", "hotel"], ["foodhotel"], ["food"]]):
        changed = [(text, labels if own == ["food", "hotel"] else own) for text, own in rows]
        path = write_json_lines(tmp_path / f"{number}.jsonl", [{"text": text, "label": own} for text, own in changed])
        digests.add(several(path).digest)
    assert len(digests) == 3


def test_splits_are_stratified_by_the_rarest_label_and_the_report_says_what_texts_have(as_lists):
    report = several(as_lists, valid_size=0.25, test_size=0.25).report
    assert report["stratified_by"] == "the rarest of a text's labels"
    for name, rows in (("train", 40), ("valid", 20), ("test", 20)):
        part = report["splits"][name]
        assert part["rows"] == rows
        assert part["labels"] == {"care": rows // 4, "food": rows // 2, "hotel": rows // 4}
        assert part["labels_per_text"] == {"0": rows // 4, "1": rows // 2, "2": rows // 4}
    assert any("20 of 80 texts have none of the labels" in line for line in report["told"])


def test_a_text_that_stands_twice_stays_in_one_split_and_counts_as_a_duplicate(tmp_path):
    rows = [{"text": text, "label": labels} for text, labels in jobs(80) + jobs(8)]
    report = several(write_json_lines(tmp_path / "twice.jsonl", rows)).report["splits"]
    assert sum(part["duplicates"] for part in report.values()) == 8
    assert report["valid"]["seen_in_train"] == report["test"]["seen_in_train"] == 0


@pytest.mark.parametrize(
    ("label", "said"),
    [
        (["food", ""], "one of several labels is empty: between two separators, after the last, or in a list: row 3"),
        (["food", " \u200b"], "one of several labels is empty"),
        (None, "an empty label, and no empty list, which is a text without labels: row 3"),
        ("NULL", "an empty label (`NULL`), and no empty list, which is a text without labels: row 3"),
        ("food", "one label where a list is wanted (data.label_separator=… parts several in a cell): row 3"),
        (["food", ["hotel"]], "a label that is no text or whole number (a list in a list): row 3"),
        ([{"a": 1}], "a label that is no text or whole number (dict): row 3"),
    ],
)
def test_labels_that_cannot_be_right_are_told_with_their_row(tmp_path, label, said):
    rows = [{"text": text, "label": labels} for text, labels in jobs(20)]
    rows[2]["label"] = label
    with pytest.raises(UserError) as error:
        several(write_json_lines(tmp_path / "jobs.jsonl", rows))
    assert said in str(error.value)


def test_an_empty_label_in_a_parted_cell_is_told_and_an_empty_cell_has_none(tmp_path):
    rows = [(text, ";".join(labels)) for text, labels in jobs(20)]
    rows[4], rows[8] = (rows[4][0], "food;;hotel"), (rows[8][0], "food;")
    with pytest.raises(UserError, match="one of several labels is empty: .*: rows 5, 9"):
        several(write_csv(tmp_path / "jobs.csv", rows), label_separator=";", empty_rows="drop")


def test_a_separator_that_no_cell_holds_and_labels_of_all_texts_are_told(as_cells, tmp_path):
    (line,) = [one for one in several(as_cells, label_separator="|").report["told"] if "label_separator" in one]
    assert line.endswith("stands in no cell, so that none has several labels; `;` stands in 1 of 3 different ones")
    assert not any("label_separator" in one for one in several(as_cells, label_separator=";").report["told"])
    rows = [{"text": text, "label": [*labels, "job"]} for text, labels in jobs(80)]
    told = several(write_json_lines(tmp_path / "jobs.jsonl", rows)).report["told"]
    assert any("all texts have `job`: of that nothing can be learnt" in line for line in told)


def test_many_labels_to_a_text_need_few_texts_but_texts_enough_each(tmp_path):
    """As skills are: more of them than there are postings, ten a posting; labels given once are free text."""
    draw = np.random.default_rng(0)
    rows = [{"text": f"posting {i}", "label": [f"skill {n}" for n in draw.integers(0, 900, 10)]} for i in range(600)]
    assert len(several(write_json_lines(tmp_path / "a.jsonl", rows), valid_size=2, test_size=2).labels) > 600
    rows = [{"text": f"posting {i}", "label": [f"{i} {n}" for n in range(2)]} for i in range(600)]
    with pytest.raises(UserError, match="Give the column of the labels"):
        several(write_json_lines(tmp_path / "b.jsonl", rows))


def test_a_label_that_train_lacks_is_told_with_its_rows(as_lists, tmp_path):
    rows = [{"text": text, "label": [*labels, *(["sea"] if number in (2, 6) else [])]}
            for number, (text, labels) in enumerate(jobs(20), 1)]  # fmt: skip
    test = write_json_lines(tmp_path / "test.jsonl", rows)
    with pytest.raises(UserError, match="of its labels, 1 do not occur in train") as error:
        several(as_lists, test=str(test))
    assert "`sea`: rows 2, 6" in str(error.value)


def test_where_all_texts_have_the_same_labels_there_is_nothing_to_learn(tmp_path):
    rows = [{"text": text, "label": ["food", "care"]} for text, _ in jobs(20)]
    with pytest.raises(UserError, match="all rows have the same labels, `care`, `food`"):
        several(write_json_lines(tmp_path / "jobs.jsonl", rows))


def test_lists_are_no_single_label_and_the_error_names_the_task(as_lists):
    with pytest.raises(UserError, match=r"\(list; task=multilabel takes lists, task=tagging spans\): rows 1, 2"):
        prepare(settings("csv", train=str(as_lists), text="text", label="label"))


def composed(*words):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return checked(compose("config", ["data.train=a.csv", *words] if "data=csv" in words else list(words)))


@pytest.mark.parametrize(
    ("words", "task"),
    [
        ([], "classification"),
        (["data=csv", "recipe=tfidf"], "classification"),
        (["data=csv", "recipe=tfidf", "data.label_separator=';'"], "multilabel"),
        (["data=skillspan", "recipe=tfidf", "task=multilabel"], "multilabel"),
        (["data=sectors", "recipe=tfidf"], "multilabel"),
        (["data=skillspan", "recipe=crf"], "tagging"),
        (["data=csv", "data.train=a.conll", "recipe=crf"], "tagging"),
    ],
)
def test_the_data_says_the_task_unless_it_is_given(words, task):
    values = composed(*words)
    assert values.task == task
    assert "tasks" not in values.recipe.values, "no part of what a run is"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["task=multilabel", "recipe=tfidf"], "data=job_titles is classification. With task=multilabel: data=csv, "),
        (["data=csv", "data.train=a.conll", "task=multilabel", "recipe=tfidf"], "is for task=tagging, not multilabel."),
        (["data=csv", "task="], "task=: give one of classification, multilabel, tagging, regression, or null."),
        (["data=skillspan", "task=tagging", "recipe=tfidf"], "recipe=tfidf does not take task=tagging."),
        (["data=csv", "recipe=tfidf", "task=classification", "data.label_separator=';'"], "parts several labels"),
        (
            ["task=multilable"],
            "give one of classification, multilabel, tagging, regression, or null. Did you mean 'mul",
        ),
    ],
)
def test_a_task_that_cannot_be_is_refused_in_words(words, said):
    with pytest.raises(UserError) as error:
        composed(*words)
    assert said in str(error.value)


def test_the_tasks_that_files_name_are_those_of_the_contract():
    for group in ("data", "recipe"):
        for name in choices(group):
            assert set(tasks(group, name)) <= set(TASKS)


def test_a_task_may_be_given_where_some_data_can_be_it_and_some_recipe_takes_it(monkeypatch):
    for task in usable():
        assert all(any(task in tasks(group, name) for name in choices(group)) for group in ("data", "recipe"))
    said = {"data": ["a", "b", "c"], "recipe": ["c", "d", "a"]}
    monkeypatch.setattr(of_config, "tasks", lambda group, name: said[group])
    assert usable() == ["a", "c"]


def test_figures_are_scikit_learn_s_over_the_labels_that_occur():
    draw = np.random.default_rng(0)
    labels, logits = draw.integers(0, 2, (200, 6)).astype(np.uint8), draw.normal(size=(200, 6)).astype(np.float32)
    labels[:, 5], logits[:, 5] = 0, -1  # nowhere
    found, predicted = multilabel.scores(labels, logits), (logits > 0).astype(int)
    assert found["macro_f1"] == pytest.approx(f1_score(labels[:, :5], predicted[:, :5], average="macro"), rel=1e-12)
    assert found["micro_f1"] == pytest.approx(f1_score(labels, predicted, average="micro"), rel=1e-12)
    assert found["exact_match"] == pytest.approx((labels == predicted).all(1).mean())
    chances = 1 / (1 + np.exp(-logits.astype(float)))
    entropy = -(labels * np.log(chances) + (1 - labels) * np.log(1 - chances)).mean()
    assert found["log_loss"] == pytest.approx(entropy, rel=1e-9)
    each = [average_precision_score(labels[:, place], logits[:, place]) for place in range(5)]
    assert found["average_precision"] == pytest.approx(np.mean(each))
    details = multilabel.details(labels, logits, list("abcdef"))["classes"]
    assert details["b"]["f1"] == pytest.approx(f1_score(labels[:, 1], predicted[:, 1]))
    assert details["f"] == {"precision": 0, "recall": 0, "f1": 0, "rows": 0}


def test_one_label_alone_has_figures_of_its_own_and_not_of_its_absence():
    labels, logits = np.array([[1], [0], [0], [1]], np.uint8), np.array([[-1], [-1], [1], [1]], np.float32)
    found = multilabel.scores(labels, logits)
    assert (found["micro_f1"], found["macro_f1"], found["exact_match"], found["answered"]) == (0.5, 0.5, 0.5, 0.5)
    assert multilabel.scores(labels, -np.ones((4, 1), np.float32))["micro_f1"] == 0
    details = multilabel.details(labels, logits, ["food"])["classes"]
    assert details == {"food": {"precision": 0.5, "recall": 0.5, "f1": 0.5, "rows": 2}}


def test_labels_are_parted_in_a_file_by_what_none_of_them_holds():
    assert [separator_of(names) for names in (["a", "b|"], ["a;b", "c"], ["a;b", "c|"])] == [";", "|", "\n"]


def test_the_summary_shows_the_figures_that_the_readme_names():
    scores = multilabel.scores(np.array([[1, 0], [0, 1]]), np.array([[2.0, -2.0], [2.0, 2.0]]))
    others = dict.fromkeys(("train.seconds", "train.samples_per_second", "train.rows", "memory.peak_rss_mb"), 1.0)
    made = {**others, "task": "multilabel", "model.parameters": None, "model.size_mb": None}
    line = figures(Row({**made, **{f"test.{key}": value for key, value in scores.items()}}))[0]
    assert (
        line == "  test      micro-F1 0.800   macro-F1 0.833   exact match 0.500   average precision 0.750   (2 rows)"
    )


def test_the_threshold_that_valid_chooses_is_the_best_of_its_macro_f1():
    draw = np.random.default_rng(0)
    labels = (draw.random((300, 4)) < 0.1).astype(np.uint8)
    logits = (4.0 * labels - 3 + draw.normal(0, 1, labels.shape)).astype(np.float32)  # too careful by far
    probabilities, scores = 1 / (1 + np.exp(-logits.astype(float))), {}
    for threshold in multilabel.THRESHOLDS:
        scores[threshold] = f1_score(labels, probabilities > threshold, average="macro")
        assert multilabel.at(threshold, labels, logits)["macro_f1"] == pytest.approx(scores[threshold])
    chosen = multilabel.chosen_threshold(labels, logits)
    assert scores[chosen] == max(scores.values()) > scores[0.5]
    assert multilabel.at(0.5, labels, logits)["micro_f1"] == pytest.approx(
        multilabel.scores(labels, logits)["micro_f1"]
    )
    assert multilabel.chosen_threshold(labels, np.where(labels, 9, -9).astype(np.float32)) == 0.5, "none is better"
    said = SeveralLabels(TASKS["multilabel"], list("abcd"), threshold=chosen)
    found = [row[0] for row in said.rows(logits)]
    assert found == [[name for name, one in zip("abcd", row, strict=True) if one > chosen] for row in probabilities]


def test_without_any_label_nothing_is_right_or_wrong():
    nothing = multilabel.scores(np.zeros((3, 2), np.uint8), -np.ones((3, 2), np.float32))
    assert (nothing["macro_f1"], nothing["micro_f1"], nothing["exact_match"]) == (0, 0, 1)


def test_answers_are_the_labels_likelier_than_not():
    logits = np.array([[2, -1, 0.1], [-1, -2, -3], [np.nan] * 3], np.float32)
    names = ["care", "food", "hotel"]
    assert list(SeveralLabels(TASKS["multilabel"], names, separator=";").rows(logits)) == [["care;hotel"], [""], [None]]
    every = SeveralLabels(TASKS["multilabel"], names, every=True)
    assert next(every.rows(logits)) == [["care", "hotel"], 0.880797, 0.268941, 0.524979]
    assert every.added("p_") == ["p_labels", "p_probability_care", "p_probability_food", "p_probability_hotel"]
    shown = list(SeveralLabels(TASKS["multilabel"], names).lines(logits[:2]))
    assert shown == [["0.881  care", "0.525  hotel"], ["none of its labels"]]
    json.dumps(next(every.rows(logits)))
