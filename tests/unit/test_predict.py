"""Using a run's model: which run is meant, columns kept and added in each format, what a kill leaves."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support import ROOT

from harness.base.errors import UserError
from harness.inputs.data.widen import columns_of, widen
from harness.use import predict_file, saved
from harness.use.answers import OneLabel
from harness.use.predict import CHUNK
from harness.use.predict_file import Table
from recipes.contract.tasks import CLASSIFICATION


def written(path, notes, rows, names=("label", "probability")):
    """Read a file to its end, write it with columns added; return what was written."""
    table = Table(path, ["title"])
    table.check(list(names))
    assert table.rows == rows
    assert notes.items() <= table.notes.items()
    out = path.with_name(f"out{path.suffix}")
    widen(path, table.notes, out, list(names), iter([[f"é{n}", n / 4] if n else [None, None] for n in range(rows)]))
    return out.read_bytes()


def test_a_delimited_file_keeps_its_cells_delimiter_and_line_ends(tmp_path):
    path = tmp_path / "jobs.csv"
    text = 'n°;title;note\r\n1;;"a ""b"";\nc"\r\n\r\n2;Pâtissière;\r\n3;night nurse;007\r\n'
    path.write_bytes(text.encode("cp1252"))
    new = (
        'n°;title;note;label;probability\r\n1;;"a ""b"";\nc";;\r\n2;Pâtissière;;é1;0.25\r\n3;night nurse;007;é2;0.5\r\n'
    )
    assert written(path, {"encoding": "cp1252", "delimiter": ";"}, 3).decode() == new


def test_json_lines_keep_every_digit(tmp_path):
    path = tmp_path / "jobs.jsonl"
    path.write_text('{"title": null, "pay": 1.10}\n\n{"title":"a \\u00e9", "id": 12345678901234567890 }\n{"title":"b"}')
    new = (
        '{"title": null, "pay": 1.10, "label": null, "probability": null}\n'
        '{"title":"a \\u00e9", "id": 12345678901234567890, "label": "é1", "probability": 0.25}\n'
        '{"title":"b", "label": "é2", "probability": 0.5}\n'
    )
    assert written(path, {"encoding": "utf-8"}, 3).decode() == new


def test_parquet_keeps_its_types(tmp_path):
    path = tmp_path / "jobs.parquet"
    table = pa.table(
        {"title": [None, "a", "b"], "when": pa.array([1, None, 3], pa.timestamp("s")), "skills": [["x"], [], None]}
    )
    pq.write_table(table, path)
    written(path, {}, 3)
    new = pq.read_table(tmp_path / "out.parquet")
    assert new.select(table.column_names).equals(pq.read_table(path))
    assert new["label"].to_pylist() == [None, "é1", "é2"]
    assert new["probability"].to_pylist() == [None, 0.25, 0.5]


def test_a_column_that_is_there_is_not_written_over(tmp_path):
    path = tmp_path / "jobs.jsonl"
    path.write_text('{"title": "a"}\n{"title": "b", "label": "nurse"}\n')
    with pytest.raises(UserError, match="has a column `label` already.\n--prefix"):
        Table(path, ["title"]).check(["label", "probability"])
    table = Table(path, ["title"])
    table.check(["predicted_label"])
    assert columns_of(path, table.notes) == ["title", "label"]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (
            '{"title": "a"}\n{"title": 7}\n',
            r"jobs.jsonl: these rows cannot be used.\n  a text that is no text \(int\): row 2",
        ),
        ('{"name": "a"}\n', "there is no column `title`; there are `name`.*\n--text COLUMN says"),
    ],
)
def test_what_is_no_text_is_told_with_its_row(tmp_path, rows, said):
    path = tmp_path / "jobs.jsonl"
    path.write_text(rows)
    with pytest.raises(UserError, match=said):
        Table(path, ["title"]).check(["label"])


@pytest.mark.parametrize(
    ("there", "kept"), [(0, 0), (CHUNK - 1, 0), (CHUNK, 1), (2 * CHUNK + 4, 2), (2 * CHUNK + 5, 3)]
)
def test_of_what_a_kill_left_whole_chunks_count(there, kept, tmp_path):
    rows, path = 2 * CHUNK + 5, tmp_path / "answers.jsonl"
    path.write_text("".join(f'["é", {row}]\n' for row in range(there)) + '["é', encoding="utf-8")
    done = predict_file.keep_done(path, rows)
    assert done == min(rows, kept * CHUNK)
    assert path.read_text(encoding="utf-8") == "".join(f'["é", {row}]\n' for row in range(done))


def test_another_task_begins_anew(tmp_path, capsys):
    predict_file.begin(tmp_path, {"file": "a"})
    (tmp_path / "answers.jsonl").write_bytes(b"1234")
    predict_file.begin(tmp_path, {"file": "a"})
    assert (tmp_path / "answers.jsonl").read_bytes() == b"1234"
    predict_file.begin(tmp_path, {"file": "b"})
    assert (tmp_path / "answers.jsonl").read_bytes() == b""
    assert "beginning anew" in capsys.readouterr().err


def test_rows_without_text_have_no_label():
    logits = np.array([[0, 1], [np.nan] * 2, [2, 0]], np.float32)
    values = list(OneLabel(CLASSIFICATION, ["a", "b"], every=True).rows(logits))
    assert values == [["b", 0.731059, 0.268941, 0.731059], [None] * 4, ["a", 0.880797, 0.880797, 0.119203]]


@pytest.mark.parametrize(
    ("trained_with", "chosen", "columns"),
    [
        ({"text": ["titre", "description"]}, None, ["titre", "description"]),
        ({"text": "titre"}, None, ["titre"]),
        ({"text": "titre"}, ["poste"], ["poste"]),
        ({}, None, ["text"]),
    ],
)
def test_the_text_is_in_the_columns_the_run_was_trained_with(tmp_path, trained_with, chosen, columns):
    run = saved.Saved(tmp_path, {}, {"data": trained_with}, {})
    assert predict_file.columns_for(run, chosen) == columns


def test_a_file_with_a_word_and_its_tag_a_line_is_no_table_to_add_columns_to(tmp_path):
    (tmp_path / "a.conll").write_text("Python B-x\n", encoding="utf-8")
    with pytest.raises(UserError, match="is read for training alone. Give the texts as a csv"):
        predict_file.place_for(tmp_path / "a.conll", None)


def test_several_columns_make_one_text(tmp_path):
    path = tmp_path / "jobs.tsv"
    path.write_text("titre\tid\tdescription\nchef\t1\t\n\t2\tcooks\nnurse\t3\tnights\n")
    assert list(Table(path, ["titre", "description"]).texts()) == [(1, "chef"), (2, "cooks"), (3, "nurse\nnights")]


def test_no_file_is_written_over_and_the_format_stays_unless_another_is_named(tmp_path):
    path = tmp_path / "jobs.csv"
    path.touch()
    assert predict_file.place_for(path, None) == tmp_path / "jobs.predicted.csv"
    (tmp_path / "jobs.predicted.csv").touch()
    with pytest.raises(UserError, match="no file is written over"):
        predict_file.place_for(path, None)
    for name in ("out.tsv", "out.jsonl", "OUT.PARQUET"):
        assert predict_file.place_for(path, tmp_path / name) == tmp_path / name
    with pytest.raises(UserError, match="--out https://example.org/out.csv: the result goes to a file of this machine"):
        predict_file.place_for(path, Path("https://example.org/out.csv"))
    for name in ("out.xls", "out", ".csv", "out.csv.bak"):
        with pytest.raises(UserError, match=r"what is written: \.csv, \.tsv, \.jsonl, .*\.parquet") as caught:
            predict_file.place_for(path, tmp_path / name)
        assert caught.value.code == 2


ROWS = [
    {"n°": "01", "title": 'chef "de\ttrain"\nde nuit', "note": ""},
    {"n°": "2", "title": "b", "note": "c;d,e\tf"},
    {"n°": "3", "title": "é", "note": "=1"},
]
FORMATS = {
    "jobs.csv": lambda path: delimited(path, ";", "cp1252"),
    "jobs.txt": lambda path: delimited(path, "|", "utf-8"),
    "jobs.tsv": lambda path: delimited(path, "\t", "utf-16"),
    "jobs.jsonl": lambda path: path.write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8"),
    "jobs.parquet": lambda path: pq.write_table(pa.Table.from_pylist(ROWS), path),
}


def delimited(path, delimiter, encoding):
    with open(path, "w", encoding=encoding, newline="") as handle:
        writer = csv.DictWriter(handle, ROWS[0], delimiter=delimiter)
        writer.writeheader()
        writer.writerows(ROWS)


def read_back(path):
    """Return the rows of a file as text, read as its ending says."""
    if path.suffix == ".parquet":
        return [{key: text_of(cell) for key, cell in row.items()} for row in pq.read_table(path).to_pylist()]
    with open(path, encoding="utf-8", newline="") as handle:
        if path.suffix == ".jsonl":
            return [{key: text_of(cell) for key, cell in json.loads(line).items()} for line in handle]
        return list(csv.DictReader(handle, delimiter={".csv": ",", ".tsv": "\t"}[path.suffix]))


def text_of(cell):
    return "" if cell is None else str(cell)


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".jsonl", ".parquet"])
@pytest.mark.parametrize("name", FORMATS)
def test_any_file_is_written_in_any_format_with_the_same_cells(tmp_path, name, ending):
    path, out = tmp_path / name, tmp_path / f"out{ending}"
    FORMATS[name](path)
    table = Table(path, ["title"])
    table.check(["label", "probability"])
    values = [["é1", 0.25], [None, None], ["a\tb", 1.0]]
    table.write(out, ["label", "probability"], iter(values))
    rows = read_back(out) if not predict_file.stays(path, out) else read_same(out, table)
    added = [{"label": text_of(label), "probability": text_of(share)} for label, share in values]
    assert rows == [{**row, **more} for row, more in zip(ROWS, added, strict=True)]


def read_same(out, table):
    """Read what kept its format: separated values with the separator they had."""
    if out.suffix not in (".csv", ".tsv"):
        return read_back(out)
    with open(out, encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle, delimiter=table.notes["delimiter"]))


def test_values_of_json_and_parquet_keep_what_they_are_where_the_format_can(tmp_path):
    path, huge = tmp_path / "jobs.jsonl", 12345678901234567890
    rows = [
        {"title": "a", "n": 1, "x": 1.5, "yes": True, "huge": huge, "mixed": "a", "parts": ["é", {"y": None}]},
        {"title": "b", "n": None, "x": 2, "yes": None, "huge": 1, "mixed": 7, "parts": None},
    ]
    text = "".join(json.dumps(row) + "\n" for row in rows) + '{"title": "c", "mixed": "\\ud800 half a character"}\n'
    path.write_text(text, encoding="utf-8")
    table = Table(path, ["title"])
    table.check(["label", "probability"])
    for name in ("out.parquet", "out.csv"):
        table.write(tmp_path / name, ["label", "probability"], iter([["l", 0.5]] * 3))
    got = pq.read_table(tmp_path / "out.parquet")
    kinds = {name: str(got.schema.field(name).type) for name in ("n", "x", "yes", "huge", "mixed", "parts", "label")}
    assert kinds == {"n": "int64", "x": "double", "yes": "bool", "huge": "string", "mixed": "string",
                     "parts": "string", "label": "string"}  # fmt: skip
    first, second, third = got.to_pylist()
    assert (first["n"], first["x"], first["yes"], first["huge"]) == (1, 1.5, True, str(huge))
    assert (second["n"], second["x"], second["mixed"], second["parts"]) == (None, 2.0, "7", None)
    assert json.loads(first["parts"]) == ["é", {"y": None}]
    assert third["mixed"] == "\\ud800 half a character"
    with open(tmp_path / "out.csv", encoding="utf-8", newline="") as handle:
        cells = list(csv.reader(handle))
    assert cells[1] == ["a", "1", "1.5", "true", str(huge), "a", '["é", {"y": null}]', "l", "0.5"]
    assert cells[2] == ["b", "", "2", "", "1", "7", "", "l", "0.5"]


def test_a_file_that_changed_meanwhile_is_not_half_written(tmp_path):
    path = tmp_path / "jobs.csv"
    path.write_text("title\na\nb\n")
    table = Table(path, ["title"])
    table.check(["label"])
    path.write_text("title\na\nb\nc\n")
    for ending in (".csv", ".tsv", ".jsonl", ".parquet"):
        with pytest.raises(UserError, match="has changed while it was read"):
            table.write(tmp_path / f"out{ending}", ["label"], iter([["x"], ["y"]]))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("folder", "folder is a folder; give a file in it"),
        ("folder.csv", "folder.csv is a folder; give a file in it"),
        ("nosuch.csv", "there is no file .*/nosuch.csv"),
        ("pipe.csv", "pipe.csv is a pipe or a device"),
        ("photo.png", "photo.png: what kind of file is this"),
        ("https://example.org/a b.csv?x=1", r"https://example.org/a b.csv\?x=1: a file of this machine is needed; "
         r"fetch it first \(curl -LO 'https://example.org/a b.csv\?x=1'\), and give its name"),
        ("HTTP://example.org/a.csv", r"HTTP://example.org/a.csv: .*\(curl -LO HTTP://example.org/a.csv\)"),
        ("file:///data/jobs.csv", "file:///data/jobs.csv: give the path alone, /data/jobs.csv"),
        ("s3://bucket/jobs.parquet", "s3://bucket/jobs.parquet: a file of this machine is needed; copy it here first"),
    ],
)  # fmt: skip
def test_what_is_no_file_is_told_for_what_it_is(tmp_path, monkeypatch, name, said):
    monkeypatch.chdir(tmp_path)
    for folder in ("folder", "folder.csv"):
        (tmp_path / folder).mkdir()
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "photo.png").write_bytes(b"\x89PNG\r\n\x1a\n\x00")
    with pytest.raises(UserError, match=said):
        predict_file.place_for(Path(name), None)


@pytest.mark.parametrize("bytes_", [b"\x89PNG\r\n\x1a\n\x00\x00", bytes(range(256)), b"\xff\xd8\xff\xe0\x00\x10JFIF"])
def test_a_file_that_is_no_text_is_told_before_any_work(tmp_path, bytes_):
    path = tmp_path / "jobs.csv"
    path.write_bytes(bytes_)
    with pytest.raises(UserError, match="is not what its name says"):
        Table(path, ["title"]).check(["label"])


@pytest.mark.parametrize(
    ("words", "said", "code"),
    [
        (["data=csv", "data.train=https://example.org/jobs.csv", "data.text=t", "data.label=l"],
         "error: https://example.org/jobs.csv: a file of this machine is needed; fetch it first (curl -LO", 1),
        (["model=path", "model.path=https://example.org/model"],
         "error: model.path: https://example.org/model: a folder of this machine is needed", 1),
        (["outputs=s3://bucket/outputs"], "error: outputs=s3://bucket/outputs: results go to a folder", 2),
    ],
)  # fmt: skip
def test_a_url_for_a_place_of_this_machine_is_told(cli, tmp_path, words, said, code):
    done = cli("recipe=hf_trainer", *words)
    assert said in done.stderr
    assert done.returncode == code
    assert not list(tmp_path.glob("s3*"))


def test_a_place_that_may_not_be_written_is_told_with_out(tmp_path, monkeypatch):
    path = tmp_path / "jobs.csv"
    path.write_text("title\nnurse\n", encoding="utf-8")
    monkeypatch.setattr(predict_file, "answers_of", lambda *_, **__: OneLabel(CLASSIFICATION, ["a", "b"]))
    with pytest.raises(
        UserError, match="^/sys/p.csv: no permission to write in the folder /sys; --out says where else"
    ):
        predict_file.predict_file(None, Table(path, ["title"]), Path("/sys/p.csv"))


@pytest.fixture
def outputs(tmp_path):
    """Two finished runs, one that failed, and what is left of one that was killed."""
    for name, status in (
        ("torch-a-seed0-1", "finished"),
        ("torch-a-seed1-2", "finished"),
        ("flair-a-seed0-3", "failed"),
    ):
        folder = tmp_path / "jobs" / name
        (folder / "model").mkdir(parents=True)
        row = {"status": status, "reason": "no luck", "command": "python train.py"}
        for file, values in (("result.json", row), ("job.json", {}), ("config.yaml", {})):
            (folder / file).write_text(json.dumps(values))
    (tmp_path / "jobs" / ".fastai-a-seed0-4.working").mkdir()
    return tmp_path


def test_a_run_is_found_by_its_folder_its_name_or_how_that_begins(outputs):
    folder = outputs / "jobs" / "torch-a-seed1-2"
    for name in (str(folder), "jobs/torch-a-seed1-2", "torch-a-seed1-2/", "torch-a-seed1"):
        assert saved.find(name, outputs).folder == folder


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("torch-a", "2 finished runs in .* begin with torch-a"),
        ("trch-a", "no such run in .*Did you mean 'torch-'.*The newest that finished:\n  jobs/torch-a-seed"),
        ("jobs/flair-a-seed0-3", r"it did not finish \(failed\): no luck\nAgain: python train.py"),
        ("flair", r"it did not finish \(failed\): no luck"),
        ("fastai-a", "it was broken off"),
        ("FOLDER", r"it did not finish \(failed\): no luck\nAgain: python train.py"),
    ],
)
def test_a_run_that_there_is_not_is_told(outputs, name, said):
    with pytest.raises(UserError, match=said):
        saved.find(name.replace("FOLDER", str(outputs / "jobs" / "flair-a-seed0-3")), outputs)


def test_a_reference_result_has_no_model(outputs):
    folder = outputs / "jobs" / "torch-a-seed0-1"
    (folder / "model").rmdir()
    (folder / "job.json").unlink()
    with pytest.raises(UserError, match="only its results are here.\nTo train it: python train.py"):
        saved.find(str(folder), outputs)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["x"], "error: give texts, or --file FILE.\n"),
        (["x", "--file", "jobs.csv", "night nurse"], "error: give texts, or --file FILE.\n"),
        (["nosuch", "--all", "--outputs", "/nowhere", "night nurse"], "error: nosuch: there is no such folder"),
    ],
)
def test_texts_or_a_file_and_options_anywhere(words, said):
    command = [sys.executable, ROOT / "scripts" / "predict.py", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith(said)
