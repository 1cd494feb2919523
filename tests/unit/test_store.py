"""Results: the directory follows from what the run is, and what stands there is whole."""

import json

import pytest

from harness.runs import store
from harness.runs.row import Row


def row(status, **values):
    return Row({"status": status, **values})


def attempt(folder, status, mark):
    work = store.working(folder)
    (work / "mark").write_text(mark, encoding="utf-8")
    return store.settle(folder, row(status, mark=mark))


def test_a_failed_run_is_a_row_and_a_finished_one_takes_its_place(tmp_path):
    folder = tmp_path / "onet" / "run"
    assert attempt(folder, "failed", "1") == folder
    assert store.finished(folder) is None
    assert json.loads((folder / "result.json").read_text())["status"] == "failed"
    assert attempt(folder, "finished", "2") == folder
    assert store.finished(folder)["mark"] == "2"


@pytest.mark.parametrize("status", ["failed", "interrupted", "timed_out", "out_of_memory"])
def test_a_repetition_that_fails_leaves_the_finished_result(tmp_path, status):
    folder = tmp_path / "onet" / "run"
    attempt(folder, "finished", "1")
    elsewhere = attempt(folder, status, "2")
    assert elsewhere != folder
    assert json.loads((elsewhere / "result.json").read_text())["status"] == status
    assert store.finished(folder)["mark"] == "1"
    assert attempt(folder, "finished", "3") == folder
    assert (folder / "mark").read_text() == "3"


def test_a_replacement_cut_off_between_two_renames_is_mended(tmp_path):
    folder = tmp_path / "onet" / "run"
    attempt(folder, "finished", "1")
    folder.rename(folder.parent / ".run.replaced")
    with store.claimed(folder):
        assert store.finished(folder)["mark"] == "1"


def test_half_a_result_is_none(tmp_path):
    (tmp_path / "result.json").write_text('{"status": "fini', encoding="utf-8")
    assert store.finished(tmp_path) is None


def test_a_json_file_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "result.json"
    store.write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        store.write_json(path, {"a": 1, "b": object()})
    assert json.loads(path.read_text()) == {"a": 1}
