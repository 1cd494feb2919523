"""Predictions for files as Excel, databases and people export them: the rows that training would read, no others."""

import csv
import gzip
import json

import pyarrow.parquet as pq
import pytest
import xlsxwriter
from data_support import write_json_lines

from harness.base.errors import UserError
from harness.inputs.data.tables import Options
from harness.use import predict_file, saved
from harness.use.predict_file import Table

ADDED = ["label", "probability"]


def predicted(path, out, options=Options()):  # noqa: B008
    """Read a file to its end, and write it with columns added; return the texts."""
    table = Table(path, ["title"], options)
    table.check(ADDED)
    texts = [text for _, text in table.texts({})]
    assert len(texts) == table.rows
    table.write(out, ADDED, iter([[f"é{n}", n / 4] for n in range(table.rows)]))
    return texts


def read_csv(path):
    return list(csv.reader(path.read_text(encoding="utf-8-sig").splitlines()))


@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".parquet"])
def test_a_workbook_is_written_as_another_format(tmp_path, ending):
    with xlsxwriter.Workbook(tmp_path / "jobs.xlsx") as book:
        book.add_worksheet("Notes").write(0, 0, "title")
        sheet = book.add_worksheet("2026")
        sheet.write(0, 0, "Offres")
        sheet.write_row(2, 0, ["title", "", "title 2", ""])
        for number in range(3):
            sheet.write_row(3 + 2 * number, 0, [f"chef {number}", number, 0.5, "x"])
    path = tmp_path / "jobs.xlsx"
    assert predict_file.place_for(path, None) == tmp_path / "jobs.predicted.csv"
    out = predict_file.place_for(path, tmp_path / f"out{ending}")
    assert predicted(path, out, Options(sheet="2026")) == ["chef 0", "chef 1", "chef 2"]
    names = ["title", "column_2", "title 2", "column_4", *ADDED]
    if ending == ".csv":
        assert out.read_bytes().startswith(b"\xef\xbb\xbf")  # without it Excel reads é as Ã©
        assert read_csv(out) == [names, *([f"chef {n}", str(n), "0.5", "x", f"é{n}", str(n / 4)] for n in range(3))]
    elif ending == ".jsonl":
        lines = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
        assert [list(line.values()) for line in lines] == [
            [f"chef {n}", str(n), "0.5", "x", f"é{n}", n / 4] for n in range(3)
        ]
        assert list(lines[0]) == names
    else:
        assert pq.read_table(out).column_names == names
    with pytest.raises(UserError, match="--sheet 2027: there is no such sheet"):
        Table(path, ["title"], Options(sheet="2027")).check(ADDED)
    with pytest.raises(UserError, match="the ending says what is written"):
        predict_file.place_for(path, tmp_path / "out.xlsx")


@pytest.mark.parametrize(
    ("trained", "chosen", "read"), [("2026", None, "2026"), ("2026", "2025", "2025"), (None, None, None)]
)
def test_the_sheet_is_the_run_s_unless_another_is_named(tmp_path, trained, chosen, read):
    run = saved.Saved(tmp_path, {}, {"data": {"text": "title", "sheet": trained, "missing": ["rien"]}}, {})
    table = predict_file.table_for(run, tmp_path / "a.xlsx", None, None, chosen)
    assert table.options == Options(None, read)
    assert table.missing == {"rien"}
    assert predict_file.table_for(run, tmp_path / "a.csv", None, None, None).options == Options()
    with pytest.raises(UserError, match="--sheet 2025: .*a.csv is no workbook"):
        predict_file.table_for(run, tmp_path / "a.csv", None, None, "2025")


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".jsonl"])
def test_a_packed_export_with_a_title_and_headers_again(tmp_path, ending):
    one = "titre;title\r\n1;chef\x00 de nuit\r\n\r\n2;\u200b\r\n3;nan\r\n"
    path = tmp_path / "jobs.csv.gz"
    path.write_bytes(gzip.compress(("sep=;\r\nExport du 12/03;\r\n" + one + one).encode("utf-8-sig")))
    assert predict_file.place_for(path, None) == tmp_path / "jobs.predicted.csv"
    out = predict_file.place_for(path, tmp_path / f"out{ending}")
    assert [str(text) for text in predicted(path, out)] == ["chef de nuit", "", "nan"] * 2
    if ending == ".csv":
        rows = [f"{n % 3 + 1};{('chef de nuit', chr(0x200B), 'nan')[n % 3]};é{n};{n / 4}" for n in range(6)]
        assert out.read_bytes().decode("utf-8-sig") == "\r\n".join(["titre;title;label;probability", *rows, ""])
    table = Table(path, ["title"])
    table.check(ADDED)
    assert table.empty.first == {"an empty text": [2, 6], "an empty text (`nan`)": [3, 7]}
    with pytest.raises(UserError, match="the ending says what is written"):
        predict_file.place_for(path, tmp_path / "out.csv.gz")


def test_json_objects_keep_all_their_keys_in_whatever_order_they_come(tmp_path):
    rows = [{"id": 1}, {"title": "chef", "more": {"a": [1, None]}}, {"title": "nurse", "pay": 2.0, "id": None}]
    for order in (1, -1):
        path = write_json_lines(tmp_path / f"jobs{order}.jsonl", rows[::order])
        predicted(path, tmp_path / f"same{order}.jsonl")
        lines = [
            json.loads(line) for line in (tmp_path / f"same{order}.jsonl").read_text(encoding="utf-8").splitlines()
        ]
        assert [{key: line[key] for key in line if key not in ADDED} for line in lines] == rows[::order]
        assert all(list(line)[-2:] == ADDED for line in lines)
        predicted(path, tmp_path / f"out{order}.csv")
        header, *cells = read_csv(tmp_path / f"out{order}.csv")
        assert set(header) == {"id", "title", "more", "pay", *ADDED}
        assert [dict(zip(header, row, strict=True))["title"] for row in cells[::order]] == ["", "chef", "nurse"]
    with pytest.raises(UserError, match="there is no column `titel`; there are `pay`|`id`"):
        Table(path, ["titel"]).check(ADDED)
