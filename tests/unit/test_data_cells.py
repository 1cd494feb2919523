"""What cannot be seen, words for nothing, NUL: one rule for the cells and headers of every format."""

import re
import unicodedata

import pyarrow
import pyarrow.parquet
import pytest
from data_support import from_file, jobs, rows_of, write_csv, write_json_lines

from harness.base.errors import UserError
from harness.inputs.data import cells


@pytest.fixture(autouse=True)
def home(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("FINETUNE_RECIPES_HOME", str(tmp_path_factory.getbasetemp() / "home"))


def as_csv(path, rows, header=("text", "label")):
    return write_csv(path / "a.csv", rows, header)


def as_tsv(path, rows, header=("text", "label")):
    (path / "a.tsv").write_text("".join("\t".join(row) + "\n" for row in [header, *rows]), encoding="utf-8")
    return path / "a.tsv"


def as_json_lines(path, rows, header=("text", "label")):
    return write_json_lines(path / "a.jsonl", [dict(zip(header, row, strict=True)) for row in rows])


def as_parquet(path, rows, header=("text", "label")):
    table = pyarrow.table([list(column) for column in zip(*rows, strict=True)], names=list(header))
    pyarrow.parquet.write_table(table, path / "a.parquet")
    return path / "a.parquet"


def as_workbook(path, rows, header=("text", "label")):
    import xlsxwriter

    with xlsxwriter.Workbook(path / "a.xlsx") as book:
        sheet = book.add_worksheet()
        for number, row in enumerate([header, *rows]):
            sheet.write_row(number, 0, row)
    return path / "a.xlsx"


FORMATS = [as_csv, as_tsv, as_json_lines, as_parquet, as_workbook]
formats = pytest.mark.parametrize("written", FORMATS)

CLASSES = ["Santé", "Ressources humaines", "BTP"]
SPELT = [
    *CLASSES,
    "\ufeffSanté",
    "Santé\u200b",
    "San\u00adté",
    unicodedata.normalize("NFD", "Santé"),
    "Ressources\u00a0humaines",
    "\u2007Ressources\u202fhumaines\u00a0",
    "\u200eBTP\u200f",
    "\u200dBTP\u00ad",
]


@formats
def test_labels_that_look_the_same_are_one_class(tmp_path, written):
    rows = [(f"poste {number}", SPELT[number % len(SPELT)]) for number in range(110)]
    data = from_file(written(tmp_path, rows))
    assert data.labels == sorted(CLASSES)
    cleaned = data.report["read"]["train"]["cleaned"]
    assert cleaned["labels"] == 80
    assert cleaned["characters"] == dict.fromkeys(
        ["U+FEFF", "U+200B", "U+0301", "U+2007", "U+202F", "U+200E", "U+200F", "U+200D"], 10
    ) | dict.fromkeys(["U+00AD", "U+00A0"], 20)


@formats
def test_headers_that_look_the_same_are_one(tmp_path, written, capsys):
    header = ("\ufeff\ufefftitre\u00a0du poste\u200b", "caté\u00adgorie")
    data = from_file(written(tmp_path, jobs(20), header), text="titre du\u202fposte", label="catégorie")
    assert len(rows_of(data)) == 20
    said = capsys.readouterr().err
    assert "the header of `titre du poste` holds what cannot be seen (U+FEFF, U+00A0, U+200B)" in said
    assert "the header of `catégorie` holds what cannot be seen (U+00AD)" in said


@formats
def test_a_cell_in_which_nothing_can_be_seen_is_empty(tmp_path, written):
    nothing = ["\u200b", "\u00a0", "\u200d\ufe0f", "\u3164", "\u2800 \u00ad"]
    rows = [*jobs(20), *((text, "care") for text in nothing), ("midwife", "\ufeff")]
    path = written(tmp_path, rows)
    with pytest.raises(UserError, match="(?s)an empty text: rows 21, 22, 23, 24, 25\n  an empty label: row 26\n"):
        from_file(path)
    assert from_file(path, empty_rows="drop").report["read"]["train"]["dropped_rows"] == 6


@formats
def test_a_text_keeps_what_is_inside(tmp_path, written):
    texts = ["2\u00a0000 €", "می‌خواهم", "👩‍🍳 chef", "Dévelop\u00adpeur", "zero\u200bwidth", "❤️", " indented ", "नर्स"]
    rows = [*jobs(20), *((f"\ufeff{text}\u200b", "care") for text in texts)]
    data = from_file(written(tmp_path, rows))
    assert {text for _, text, _ in rows_of(data)} == {text for text, _ in jobs(20)} | set(texts)
    assert data.report["read"]["train"]["cleaned"] == {"texts": 8, "characters": {"U+FEFF": 8, "U+200B": 8}}


def test_joiners_within_words_make_another_label_and_those_at_the_edges_do_not():
    assert cells.name("می‌خواهم") == "می‌خواهم"
    assert cells.name("\u200c می‌خواهم \u200d") == "می‌خواهم"
    assert cells.name("👩‍🍳") == "👩‍🍳"
    assert cells.name("❤️") == "❤️"


def test_hidden_are_all_format_characters_but_those_with_a_meaning():
    """Held against Unicode's own tables: what is no joiner, no mark that is seen, and no tag of a flag."""
    seen = [range(0x600, 0x606), [0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD], range(0x13430, 0x13440)]
    kept = {*map(ord, cells.JOINERS), *(code for codes in seen for code in codes), *range(0xE0020, 0xE0080)}
    hidden = {code for code in range(0x110000) if re.fullmatch(f"[{cells.HIDDEN}]", chr(code))}
    named = {code for code in range(0x110000) if unicodedata.category(chr(code)) == "Cf"}
    assert {code for code in hidden if code > 0x7F} == named - kept
    assert {code for code in hidden if code < 0x80} == {
        code for code in range(0x80) if unicodedata.category(chr(code)) == "Cc" and not chr(code).isspace()
    }


@formats
def test_labels_that_look_alike_are_told_and_kept(tmp_path, written, capsys):
    labels = ["Back end", "Back  end", "backend", "Data", "data"]
    data = from_file(written(tmp_path, [(f"poste {number}", labels[number % 5]) for number in range(50)]))
    assert data.labels == sorted(labels)
    assert data.report["labels_alike"] == [{"Back  end": 10, "Back end": 10, "backend": 10}, {"Data": 10, "data": 10}]
    assert (
        "labels that differ in case, spaces or a whole number's .0 alone are classes of their own: "
        in capsys.readouterr().err
    )


def test_a_column_of_numbers_that_a_program_has_half_rewritten_is_told(tmp_path):
    labels = ["1", "1.0", "2", "2,00", "10"]
    data = from_file(as_csv(tmp_path, [(f"poste {number}", labels[number % 5]) for number in range(50)]))
    assert data.labels == sorted(labels)
    assert data.report["labels_alike"] == [{"1": 10, "1.0": 10}, {"2": 10, "2,00": 10}]


def test_flags_are_not_alike(tmp_path):
    flags = ["🏴󠁧󠁢󠁥󠁮󠁧󠁿", "🏴󠁧󠁢󠁳󠁣󠁴󠁿", "🇫🇷"]
    data = from_file(as_csv(tmp_path, [(f"poste {number}", flags[number % 3]) for number in range(30)]))
    assert data.labels == sorted(flags)
    assert data.report["labels_alike"] == []


@formats
def test_what_programs_write_for_nothing_is_empty_and_can_be_kept(tmp_path, written, capsys):
    rows = [*jobs(20), ("nan", "care"), ("chef", "NULL"), ("cook", "#N/A"), ("Chef <NA>", "care")]
    path = written(tmp_path, rows)
    with pytest.raises(UserError, match=r"(?s)text \(`nan`\): row 21\n.*label \(`NULL`\): row 22\n.*data.missing=\[\]"):
        from_file(path)
    data = from_file(path, empty_rows="drop")
    assert data.report["read"]["train"]["read_as_empty"] == {"nan": 1, "NULL": 1, "#N/A": 1}
    assert data.report["splits"]["train"]["rows"] + 2 + 2 == 21
    assert "`nan` ×1, `NULL` ×1, `#N/A` ×1 were read as empty" in capsys.readouterr().err
    assert from_file(path, missing=[]).labels == ["#N/A", "NULL", "care", "kitchen"]


@formats
def test_words_that_may_mean_nothing_are_told_and_can_be_read_so(tmp_path, written, capsys):
    path = written(tmp_path, [*jobs(20), ("Windhoek", "NA"), ("Walvis Bay", "NA"), ("idle", "None")])
    assert from_file(path).labels == ["NA", "None", "care", "kitchen"]
    assert "cells that hold `NA` ×2, `None` ×1 were kept (data.missing=[NA,None]" in capsys.readouterr().err
    with pytest.raises(UserError, match=r"an empty label \(`None`\): row 23"):
        from_file(path, missing=["nan", "None"])


def test_of_several_columns_the_empty_ones_are_left_out(tmp_path):
    rows = [*((f"chef {number}", "nan", "ab"[number % 2]) for number in range(20)), ("\u200b", "by night", "a")]
    data = from_file(write_csv(tmp_path / "a.csv", rows, ("title", "more", "label")), text=["title", "more"])
    assert sorted(rows_of(data))[19:] == [(20, "chef 19", "b"), (21, "by night", "a")]


@pytest.mark.parametrize("written", [as_json_lines, as_parquet, as_workbook])
def test_a_whole_number_is_the_same_label_with_a_point(tmp_path, written):
    rows = [(f"t{number}", [1.0, 2.0, 30.0][number % 3]) for number in range(30)]
    data = from_file(written(tmp_path, rows))
    assert data.labels == ["1", "2", "30"]
    assert data.digest == from_file(as_csv(tmp_path, [(text, int(label)) for text, label in rows])).digest


@pytest.mark.parametrize("written", [as_json_lines, as_parquet])
def test_no_number_is_no_label(tmp_path, written):
    path = written(
        tmp_path, [(f"t{number}", float("nan") if number == 7 else number % 2 + 0.0) for number in range(30)]
    )
    with pytest.raises(UserError, match="an empty label: row 8\n"):
        from_file(path)


def nul_in_json(path, rows):
    """Raw NUL bytes, which JSON forbids, and escaped ones."""
    path = as_json_lines(path, rows)
    path.write_bytes(path.read_bytes().replace(b"\\u0000", b"\x00", 3))
    return path


@pytest.mark.parametrize("written", [as_csv, as_tsv, as_json_lines, nul_in_json, as_parquet])
@pytest.mark.parametrize("first", [0, 4000])
def test_nul_is_left_out_wherever_it_stands(tmp_path, written, first, capsys):
    """Also beyond the first bytes, which tell what kind of file it is."""
    rows = jobs(first + 40)
    odd = [*rows[:first], *((f"{text[:4]}\x00{text[4:]}", f"{label}\x00") for text, label in rows[first:])]
    data = from_file(written(tmp_path, odd))
    assert sorted(rows_of(data)) == [(number, *row) for number, row in enumerate(rows, 1)]
    said = capsys.readouterr().err
    assert "NUL characters left out" in said or "U+0000" in said
