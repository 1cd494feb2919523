"""Files as Excel, databases and people export them: packed, with a title, headers again, as workbooks."""

import datetime
import gzip
import io
import zipfile

import pyarrow
import pyarrow.parquet
import pytest
import xlsxwriter
from data_support import from_file, jobs, rows_of, write_csv, write_json_lines

from harness.base.errors import UserError
from harness.inputs.data import files
from harness.use import predict_file

HEADER = ("text", "label")
NUMBERED = [(number, *row) for number, row in enumerate(jobs(20), 1)]


@pytest.fixture(autouse=True)
def home(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("FINETUNE_RECIPES_HOME", str(tmp_path_factory.getbasetemp() / "home"))


def lines(rows, delimiter=",", end="\r\n"):
    return "".join(delimiter.join(row) + end for row in [HEADER, *rows])


def workbook(path, sheets):
    """Write sheets, each a dict from a place (row, column) to what stands there."""
    with xlsxwriter.Workbook(path) as book:
        formats = {
            datetime.date: book.add_format({"num_format": "dd/mm/yyyy"}),
            datetime.datetime: book.add_format({"num_format": "dd/mm/yyyy hh:mm"}),
        }
        for name, cells in sheets.items():
            sheet = book.add_worksheet(name)
            for (row, column), cell in cells.items():
                sheet.write(row, column, cell, formats.get(type(cell)))
    return path


def table(rows, top=0, left=0):
    return {(top + y, left + x): cell for y, row in enumerate(rows) for x, cell in enumerate(row)}


# separated values


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
@pytest.mark.parametrize("delimiter", [";", ",", "\t", "^"])
def test_the_first_line_of_excel_says_the_separator(tmp_path, encoding, delimiter):
    path = tmp_path / "a.csv"
    rows = [(f"{text}, été" if delimiter != "," else text, label) for text, label in jobs(20)]
    path.write_bytes((f"sep={delimiter}\r\n" + lines(rows, delimiter)).encode(encoding))
    data = from_file(path)
    assert sorted(rows_of(data)) == [(number, *row) for number, row in enumerate(rows, 1)]
    assert data.report["read"]["train"]["delimiter"] == delimiter
    path.write_bytes((f"sep={delimiter}\r\n" + lines([*rows, ("a", "b", "c")], delimiter)).encode(encoding))
    with pytest.raises(UserError, match=r"row 21 \(line 23\): 3 cells"):
        from_file(path)


def test_a_title_above_the_header_is_told_and_passed_over(tmp_path, capsys):
    path = tmp_path / "a.csv"
    path.write_text("Offres d'emploi;\n\nExport du 12/03;\n" + lines(jobs(20), ";", "\n"), encoding="utf-8")
    data = from_file(path)
    assert sorted(rows_of(data)) == NUMBERED
    assert "lines 1, 3 above the header left out" in capsys.readouterr().err
    with pytest.raises(UserError, match=r"a.csv, line 4: there is no column `texte`; there are `text`, `label`\."):
        from_file(path, text="texte")


def test_a_title_as_full_as_the_header_is_asked_about(tmp_path):
    (tmp_path / "a.csv").write_text("Export,mars\n" + lines(jobs(20)), encoding="utf-8")
    with pytest.raises(UserError, match=r"no column `text`; there are `Export`, `mars`(?s:.*)Is line 2 the header\?"):
        from_file(tmp_path / "a.csv")


def test_lines_with_nothing_to_be_seen_are_blank(tmp_path):
    content = lines(jobs(10)) + "  \r\n\u00a0\r\n" + lines(jobs(20)[10:]).partition("\n")[2] + "\x1a"
    (tmp_path / "a.csv").write_text(content, encoding="utf-8")
    assert sorted(rows_of(from_file(tmp_path / "a.csv"))) == NUMBERED
    (tmp_path / "b.csv").write_text('title\na\n""\n\nb\n', encoding="utf-8")
    assert [text for _, text in predict_file.Table(tmp_path / "b.csv", ["title"]).texts()] == ["a", "", "b"]


def test_no_row_of_data_is_taken_for_a_header(tmp_path):
    path = write_csv(tmp_path / "a.csv", [*jobs(5), ("text", "class"), *jobs(5)], ("title", "label"))
    with pytest.raises(UserError, match="no column `text`; there are `title`, `label`"):
        from_file(path)


def test_the_header_of_files_put_one_after_the_other_is_told_with_its_row(tmp_path, capsys):
    one = lines(jobs(20)).encode("utf-8-sig")
    (tmp_path / "a.csv").write_bytes(one + one + one)
    data = from_file(tmp_path / "a.csv")
    assert data.labels == ["care", "kitchen"]
    assert len(rows_of(data)) == 60
    assert "the header stands again among the rows, left out there: rows 21, 42" in capsys.readouterr().err
    quoted = lines(jobs(20)).replace("text,label", '"Text","LABEL"').encode("utf-8-sig")
    (tmp_path / "a.csv").write_bytes(quoted + quoted)
    assert len(rows_of(from_file(tmp_path / "a.csv", text="Text", label="LABEL"))) == 40
    (tmp_path / "a.csv").write_bytes(one + quoted)
    assert from_file(tmp_path / "a.csv").labels == ["care", "kitchen"]
    (tmp_path / "a.csv").write_bytes(one + b"label,text\r\ncare,nurse\r\n")
    with pytest.raises(UserError, match="row 21: the header again, with the columns in another order"):
        from_file(tmp_path / "a.csv")


def test_a_space_before_a_quote(tmp_path):
    rows = [(f"chef, {number}", f'the "{number}"') for number in range(20)]
    rows = [(text, "ab"[number % 2], more) for number, (text, more) in enumerate(rows)]
    quoted = [[f'"{cell.replace(chr(34), chr(34) * 2)}"' for cell in row] for row in [("text", "label", "more"), *rows]]
    (tmp_path / "a.csv").write_text("".join(", ".join(row) + "\n" for row in quoted), encoding="utf-8")
    data = from_file(tmp_path / "a.csv", text=["text", "more"])
    assert sorted(rows_of(data)) == [(n, f"{text}\n{more}", label) for n, (text, label, more) in enumerate(rows, 1)]


def test_spaces_and_quotes_of_a_file_that_is_right_stay(tmp_path):
    rows = [*jobs(20), (' "chef" de partie', "care"), (" leading", "care"), ('a, "b" c', "care"), ("ends in, ", "care")]
    data = from_file(write_csv(tmp_path / "a.csv", rows))
    assert {text for _, text, _ in rows_of(data)} == {text for text, _ in rows}
    assert "space_before_cells" not in data.report["read"]["train"]


def test_many_classes_with_rows_enough_are_classes(tmp_path):
    path = write_csv(tmp_path / "a.csv", [(f"poste {number}", f"code {number % 1500}") for number in range(9000)])
    assert len(from_file(path).labels) == 1500
    path = write_csv(tmp_path / "a.csv", [(f"poste {number}", f"a sentence {number % 2500}") for number in range(9000)])
    with pytest.raises(UserError, match="looks like free text: 2,500 different labels in the first 9,000 rows"):
        from_file(path)


# JSON lines


def test_the_order_of_json_objects_does_not_matter(tmp_path):
    objects = [{"text": text, "label": label} for text, label in jobs(20)]
    objects[1] = {"label": "care", "pay": {"from": 1, "to": [2, 3]}, "text": "night nurse 1"}
    more = [{"id": 7}, {"title": "Chef", "label": "care"}]
    for order in (1, -1):
        path = write_json_lines(tmp_path / f"{order}.jsonl", (more + objects)[::order])
        with pytest.raises(
            UserError, match={1: "an empty text: rows 1, 2\n", -1: "an empty text: rows 21, 22\n"}[order]
        ):
            from_file(path)
        assert len(rows_of(from_file(path, empty_rows="drop"))) == 20
        with pytest.raises(UserError, match="there is no column `titel`; there are .*Did you mean 'title'"):
            from_file(path, text="titel", empty_rows="drop")
        from_file(path, text=["title", "text"], empty_rows="drop")


def test_json_lines_put_one_after_the_other_have_marks_within(tmp_path):
    one = "".join(f'{{"text": "{text}", "label": "{label}"}}\r\n' for text, label in jobs(20))
    (tmp_path / "a.jsonl").write_bytes(2 * one.encode("utf-8-sig"))
    assert len(rows_of(from_file(tmp_path / "a.jsonl"))) == 40


def test_a_key_that_only_the_last_object_has(tmp_path):
    rows = [{"text": text, "label": label} for text, label in jobs(2000)]
    path = write_json_lines(tmp_path / "a.jsonl", [*rows, {"text": "baker", "label": "kitchen", "note": "at night"}])
    assert "baker\nat night" in {text for _, text, _ in rows_of(from_file(path, text=["text", "note"]))}


# packed


def test_packed_files_are_read_as_they_are_unpacked(tmp_path):
    write_csv(tmp_path / "a.csv", jobs(20))
    write_json_lines(tmp_path / "a.jsonl", [dict(zip(HEADER, row, strict=True)) for row in jobs(20)])
    pyarrow.parquet.write_table(
        pyarrow.table([list(column) for column in zip(*jobs(20), strict=True)], names=HEADER), tmp_path / "a.parquet"
    )
    workbook(tmp_path / "a.xlsx", {"Feuil1": table([HEADER, *jobs(20)])})
    digest = from_file(tmp_path / "a.csv").digest
    for name in ("a.csv", "a.jsonl", "a.parquet", "a.xlsx"):
        content = (tmp_path / name).read_bytes()
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(content[:50]) + gzip.compress(content[50:]))
        with pyarrow.CompressedOutputStream(str(tmp_path / f"{name}.zst"), "zstd") as handle:
            handle.write(content)
        with zipfile.ZipFile(tmp_path / f"{name}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(f"Export Mars/{name}", content)
            archive.writestr(f"__MACOSX/Export Mars/._{name}", b"x")
        for packing in ("", ".gz", ".zst", ".zip"):
            assert from_file(tmp_path / f"{name}{packing}").digest == digest


def test_what_cannot_be_unpacked_is_told(tmp_path):
    content = lines(jobs(20)).encode() * 100
    packed = gzip.compress(content)
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.writestr("jan.csv", content)
        archive.writestr("feb.csv", content)
    with zipfile.ZipFile(tmp_path / "none.zip", "w"):
        pass
    with zipfile.ZipFile(tmp_path / "doc.zip", "w") as archive:
        archive.writestr("letter.doc", b"")
    with pyarrow.CompressedOutputStream(str(tmp_path / "whole.zst"), "zstd") as handle:
        handle.write(content)
    zipped = (tmp_path / "doc.zip").read_bytes()
    contents = {
        "cut.csv.gz": (packed[:-20], "cannot be unpacked .*Fetch or pack it again"),
        "cut.csv.zst": ((tmp_path / "whole.zst").read_bytes()[:-20], "cannot be unpacked"),
        "cut.csv.zip": (zipped[:20], "cannot be unpacked"),
        "plain.csv.gz": (content, "it is no gzip archive"),
        "plain.csv.zst": (packed, "it is no zstandard archive"),
        "a.gz": (packed, "what kind of file is this .it holds a.\\?"),
        "a.tar.gz": (packed, "what kind of file is this .it holds a.tar."),
        "two.zip": (None, "holds 2 files: jan.csv, feb.csv. Unpack it and give the file you mean"),
        "none.zip": (None, "holds no file"),
        "doc.zip": (None, "what kind of file is this .it holds letter.doc."),
    }
    for name, (written, said) in contents.items():
        if written is not None:
            (tmp_path / name).write_bytes(written)
        with pytest.raises(UserError, match=said):
            from_file(tmp_path / name)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (gzip.compress(b"text,label", mtime=0), r"gzip archive; let its name end with \.gz"),
        (b"\x28\xb5\x2f\xfd....", r"zstandard archive; let its name end with \.zst"),
        (b"\x89PNG\r\n\x1a\n", "an image"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "an image"),
        (b"%PDF-1.7", "PDF"),
        (b"SQLite format 3\0", "SQLite database"),
        ("text,label\n".encode("utf-16-be"), "data.encoding=utf-16-be"),
        ("text,label\n".encode("utf-16-le"), "data.encoding=utf-16-le"),
        ({"xl/workbook.xml": "", "[Content_Types].xml": ""}, r"Excel workbook; let its name end with \.xlsx"),
        ({"mimetype": "x", "content.xml": ""}, r"OpenDocument file; let its name end with \.ods"),
        ({"word/document.xml": ""}, "Word document"),
        ({"jobs.csv": "text,label"}, r"zip archive; let its name end with \.zip"),
    ],
)
@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.csv.gz"])
def test_a_file_is_told_for_what_it_is(tmp_path, name, content, what):
    if isinstance(content, dict):
        inside = io.BytesIO()
        with zipfile.ZipFile(inside, "w") as archive:
            for member, text in content.items():
                archive.writestr(member, text)
        content = inside.getvalue()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    with pytest.raises(UserError, match=f"it looks like .*{what}"):
        from_file(tmp_path / name)


# workbooks


def test_a_workbook_gives_what_its_export_to_csv_gives(tmp_path):
    day = datetime.date(2026, 3, 12)
    kinds = ["Santé", 7.0, 0.25, True, day, datetime.datetime(2026, 3, 12, 10, 30), "007"]
    texts = ["Santé", "7", "0.25", "TRUE", "2026-03-12", "2026-03-12 10:30:00", "007"]
    rows = [(f"poste {number}", kinds[number % 7], number) for number in range(70)]
    book = workbook(tmp_path / "a.xlsx", {"Offres": table([("text", "label", "n"), *rows], 1, 2), "Notes": {}})
    data = from_file(book, text=["text", "n"])
    assert data.labels == sorted(texts)
    as_csv = [(f"poste {number}", texts[number % 7], str(number)) for number in range(70)]
    same = from_file(write_csv(tmp_path / "a.csv", as_csv, ("text", "label", "n")), text=["text", "n"])
    assert data.digest == same.digest
    assert sorted(rows_of(data)) == sorted(rows_of(same))


def test_the_sheet_can_be_named(tmp_path):
    other = [(f"other {text}", label) for text, label in jobs(20)]
    book = workbook(tmp_path / "a.xlsx", {"2025": table([HEADER, *jobs(20)]), "2026": table([HEADER, *other]), "é": {}})
    assert sorted(rows_of(from_file(book))) == NUMBERED
    assert {text for _, text, _ in rows_of(from_file(book, sheet="2026"))} == {text for text, _ in other}
    with pytest.raises(UserError, match="data.sheet=2027: there is no such sheet; there are `2025`, `2026`, `é`"):
        from_file(book, sheet="2027")
    with pytest.raises(UserError, match="sheet é is empty"):
        from_file(book, sheet="é")
    with pytest.raises(UserError, match="(?s)sheet 2025: there is no column `titre`.*Other sheets are `2026`, `é`"):
        from_file(book, text="titre")
    with pytest.raises(UserError, match="data.sheet=2026: .*a.csv is no workbook") as error:
        from_file(write_csv(tmp_path / "a.csv", jobs(20)), sheet="2026")
    assert error.value.code == 2


def test_a_hidden_first_sheet_is_not_the_first(tmp_path):
    with xlsxwriter.Workbook(tmp_path / "a.xlsx") as book:
        book.add_chartsheet("Graphique")
        book.add_worksheet("_cache").hide()
        sheet = book.add_worksheet("Offres")
        sheet.activate()
        for number, row in enumerate([HEADER, *jobs(20)]):
            sheet.write_row(number, 0, row)
    assert sorted(rows_of(from_file(tmp_path / "a.xlsx"))) == NUMBERED


def test_titles_empty_rows_formulas_and_merged_cells_of_a_sheet(tmp_path, capsys):
    with xlsxwriter.Workbook(tmp_path / "a.xlsx") as book:
        sheet = book.add_worksheet()
        sheet.merge_range(0, 1, 0, 2, "Offres, mars")
        sheet.write(2, 1, "Export du 12/03")
        sheet.write_row(3, 1, HEADER)
        for number in range(10):
            top = 4 + 3 * number  # the third row of each is empty
            sheet.write(top, 1, f"cook {number}")
            sheet.write_formula(top + 1, 1, f'="nurse "&{number}', None, f"nurse {number}")
            sheet.merge_range(top, 2, top + 1, 2, "ab"[number % 2])
        sheet.write_row(34, 1, HEADER)
        sheet.write_row(35, 1, ("", None), book.add_format({"bg_color": "red"}))
    data = from_file(tmp_path / "a.xlsx")
    expected = [row for n in range(10) for row in ((f"cook {n}", "ab"[n % 2]), (f"nurse {n}", "ab"[n % 2]))]
    assert sorted(rows_of(data)) == [(number, *row) for number, row in enumerate(expected, 1)]
    said = capsys.readouterr().err
    assert "lines 1, 3 above the header left out" in said
    assert "the header stands again among the rows, left out there: row 21" in said


def test_an_open_document_sheet(tmp_path):
    office = "urn:oasis:names:tc:opendocument:xmlns:"
    cell = '<table:table-cell office:value-type="string"><text:p>{}</text:p></table:table-cell>'
    rows = "".join(
        f"<table:table-row>{''.join(map(cell.format, row))}</table:table-row>" for row in [HEADER, *jobs(20)]
    )
    content = (
        f'<?xml version="1.0"?><office:document-content xmlns:office="{office}office:1.0" '
        f'xmlns:table="{office}table:1.0" xmlns:text="{office}text:1.0"><office:body><office:spreadsheet>'
        f'<table:table table:name="Feuille1">{rows}</table:table>'
        "</office:spreadsheet></office:body></office:document-content>"
    )
    with zipfile.ZipFile(tmp_path / "a.ods", "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr("content.xml", content)
        archive.writestr("META-INF/manifest.xml", "<manifest/>")
    assert sorted(rows_of(from_file(tmp_path / "a.ods"))) == NUMBERED


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"text,label\n", r"it looks like text; let its name end with \.csv"),
        (b"<html><table>", "it looks like a web page"),
        (b"", "it looks like an empty file"),
        (b"PK\x03\x04 and no more", "it is damaged"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "it is damaged"),
        (b"%PDF", "PDF"),
    ],
)
@pytest.mark.parametrize("name", ["a.xlsx", "a.xls", "a.ods"])
def test_unusable_workbooks(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=f"no workbook that can be read: .*{said}"):
        from_file(tmp_path / name)


def test_an_old_workbook_under_a_new_name_and_the_other_way_round(tmp_path):
    workbook(tmp_path / "a.xlsx", {"Feuil1": table([HEADER, *jobs(20)])}).rename(tmp_path / "a.xls")
    assert sorted(rows_of(from_file(tmp_path / "a.xls"))) == NUMBERED


def test_names_of_what_is_packed():
    assert str(files.name_of(files.Path("x/jobs.v2.csv.gz"))) == "jobs.v2.csv"
    assert str(files.name_of(files.Path("x/jobs.csv"))) == "jobs.csv"
