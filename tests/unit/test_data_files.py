"""One's own files: what is read exactly, and what every unusable file is answered with."""

import gzip
import json
import unicodedata

import pyarrow
import pyarrow.parquet
import pytest
from data_support import JOBS, from_file, jobs, rows_of, settings, write_csv, write_json_lines

from harness.base.errors import UserError
from harness.inputs.data import prepare

FRENCH = [
    ("Chef de cœur", 'Cuisine d’été,\r\nsalaire : 2 000 €\r\n"poste à pourvoir"', "Hôtellerie"),
    ("Infirmière", "Soins à domicile ; Évry", "Santé"),
]


@pytest.fixture(autouse=True)
def home(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("FINETUNE_RECIPES_HOME", str(tmp_path_factory.getbasetemp() / "home"))


def excel(path, encoding, rows):
    """Write a file as a French Excel does: semicolons, quotes where needed, \\r\\n between rows."""
    quoted = [
        [f'"{cell.replace(chr(34), chr(34) * 2)}"' if set(cell) & set('";\n') else cell for cell in r] for r in rows
    ]
    lines = [("Intitulé", "Description", "Catégorie"), *quoted]
    path.write_bytes("".join(";".join(cells) + "\r\n" for cells in lines).encode(encoding))
    return path


@pytest.mark.parametrize(
    ("encoding", "told"),
    [("cp1252", "cp1252"), ("utf-8", "utf-8"), ("utf-8-sig", "utf-8-sig"), ("utf-16", "utf-16")],
)
def test_french_file_from_excel_comes_out_exactly(tmp_path, encoding, told, capsys):
    rows = [(f"{title} {i}", text, label) for i in range(10) for title, text, label in FRENCH]
    path = excel(tmp_path / "offres.csv", encoding, rows)
    data = from_file(path, text=["Intitulé", "Description"], label="Catégorie")
    assert sorted(rows_of(data)) == [(i, f"{title}\n{text}", label) for i, (title, text, label) in enumerate(rows, 1)]
    assert data.report["read"]["train"] == {"encoding": told, "delimiter": ";", "dropped_rows": 0}
    assert ("read as" in capsys.readouterr().err) == (not told.startswith("utf-8"))


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp1251", "Ищем опытного повара в ресторан гостиницы, работа по сменам, "),
        ("cp1253", "Ζητείται έμπειρος μάγειρας για το εστιατόριο του ξενοδοχείου, "),
    ],
)
def test_other_legacy_encodings_are_told(tmp_path, encoding, text):
    rows = [(f"{text}{i}", "ab"[i % 2]) for i in range(30)]
    data = from_file(write_csv(tmp_path / "jobs.csv", rows, encoding=encoding))
    assert sorted((text, label) for _, text, label in rows_of(data)) == sorted(rows)


def test_encoding_can_be_given(tmp_path):
    path = write_csv(tmp_path / "jobs.csv", [(f"Réf{i} é", "ab"[i % 2]) for i in range(20)], encoding="cp850")
    data = from_file(path, encoding="cp850")
    assert ("Réf0 é", "a") in [row[1:] for row in rows_of(data)]
    with pytest.raises(UserError, match="no such encoding"):
        from_file(path, encoding="cp99999")
    with pytest.raises(UserError, match=r"line 2: the byte at offset 13 \(0x82\) is not valid ascii"):
        from_file(path, encoding="ascii")


def test_broken_utf8_is_an_error_with_its_place(tmp_path):
    path = write_csv(tmp_path / "jobs.csv", [(f"café crème {i}", "ab"[i % 2]) for i in range(30)])
    content = path.read_bytes()
    path.write_bytes(content.replace("é crème 7".encode(), b"\xe9 cr\xc3\xa8me 7"))
    with pytest.raises(
        UserError,
        match=r"jobs\.csv, line 9: the byte at offset \d+ \(0xe9\) is not valid utf-8, as other .*bad: 1",
    ) as error:
        from_file(path)
    assert path.read_bytes().index(b"\xe9") == int(str(error.value).split("offset ")[1].split()[0])
    assert "data.encoding=" in str(error.value)


def test_bad_byte_is_found_across_blocks(tmp_path, monkeypatch):
    from harness.inputs.data import encoding

    path = tmp_path / "text"
    path.write_bytes("aé€".encode() * 5 + b"\xe2\x82")  # ends within a character
    for block in range(1, 9):
        monkeypatch.setattr(encoding, "BLOCK", block)
        assert encoding.first_bad(path, "utf-8") == 30
    path.write_bytes("aé€".encode() * 5)
    assert encoding.first_bad(path, "utf-8") is None


@pytest.mark.parametrize(("delimiter", "name"), [(",", "a.csv"), (";", "a.csv"), ("\t", "a.tsv"), ("|", "a.txt")])
def test_delimiter_is_told(tmp_path, delimiter, name):
    lines = [delimiter.join(row) for row in [("id", "label", "text"), *(("1", b, a) for a, b in jobs(20))]]
    (tmp_path / name).write_text("\n\n".join(lines) + "\n", encoding="utf-8")  # blank lines are no rows
    data = from_file(tmp_path / name)
    assert sorted(rows_of(data)) == [(i, *row) for i, row in enumerate(jobs(20), 1)]
    assert data.report["read"]["train"]["delimiter"] == delimiter


def test_json_lines_and_parquet_give_the_same_data_as_csv(tmp_path):
    rows = [(f"{text}\t{i}\u2028 “x”", label) for i, (text, label) in enumerate(jobs(40))]
    as_dicts = [{"text": text, "label": label, "more": [1]} for text, label in rows]
    paths = [write_csv(tmp_path / "a.csv", rows)]
    paths += [write_json_lines(tmp_path / name, as_dicts) for name in ("a.jsonl", "a.ndjson", "a.json")]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(as_dicts), tmp_path / "a.parquet", row_group_size=7)
    datasets = [from_file(path) for path in [*paths, tmp_path / "a.parquet"]]
    assert len({data.digest for data in datasets}) == 1
    assert all(sorted(rows_of(data)) == [(i, *row) for i, row in enumerate(rows, 1)] for data in datasets)


def test_labels_may_be_numbers_and_truth_values(tmp_path):
    for labels in ([1, 2], [True, False]):
        rows = [{"text": f"t{i}", "label": labels[i % 2]} for i in range(20)]
        assert from_file(write_json_lines(tmp_path / "a.jsonl", rows)).labels == sorted(map(str, labels))


def test_parts_of_a_text_are_joined_and_empty_ones_left_out(tmp_path):
    rows = [("cook", " ", "a"), ("", "in a hotel", "b"), ("nurse", "at night", "a")]
    rows += [(f"chef {i}", "", "ab"[i % 2]) for i in range(20)]
    path = write_csv(tmp_path / "jobs.csv", rows, ("title", "description", "label"))
    data = from_file(path, text=["title", "description"])
    texts = {number: text for number, text, _ in rows_of(data)}
    assert [texts[number] for number in (1, 2, 3, 4)] == ["cook", "in a hotel", "nurse\nat night", "chef 0"]


def test_text_of_10_mb_passes(tmp_path):
    long = "skilled cook " * 800_000
    path = write_csv(tmp_path / "jobs.csv", [*jobs(20), (long, "care")])
    assert long in [text for _, text, _ in rows_of(from_file(path))]


CSV_ERRORS = {
    "ragged": ("text,label\na,b\n\na,b,c\n", r"row 2 \(line 4\): 3 cells, but the header has 2"),
    "open quote": ('text,label\na,b\n"a,b\nc,d\n', r"row 2 \(line 4\): .*quote left open"),
    "no column": ("Text;category\na,b\n", r"no column `text`; there are `Text`, `category`\. Did you mean 'Text'\?"),
    "twice": ("text,label,text\na,b,c\n", "2 columns are named `text`"),
    "only header": ("text,label\n", "there are no rows"),
    "empty": ("", "is empty"),
    "JSON": ('{"text": "a"}\n', "looks like JSON"),
    "web page": ("<!DOCTYPE html><html>", "looks like a web page"),
    "one class": ("text,label\na,x\nb,x\n", "one class, `x`"),
    "few rows": ("text,label\na,x\nb,y\nc,z\n", "no row is left for test"),
    "empty cells": (
        "text,label\na,x\n ,x\nb,\n,y\n",
        "(?s)an empty text: rows 2, 4\n.*an empty label: row 3\n.*=drop",
    ),
}


@pytest.mark.parametrize(("content", "message"), CSV_ERRORS.values(), ids=CSV_ERRORS)
def test_unusable_csv(tmp_path, content, message):
    (tmp_path / "jobs.csv").write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=message) as error:
        from_file(tmp_path / "jobs.csv")
    assert "jobs.csv" in str(error.value)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"PK\x03\x04 xlsx", "Excel"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "old Excel"),
        (b"PAR1", "parquet"),
        (gzip.compress(b"text,label", mtime=0), "gzip"),
        (b"%PDF-1.7", "PDF"),
        ("text,label\n".encode("utf-16-le"), "UTF-16 without its mark"),
    ],
)
@pytest.mark.parametrize("name", ["jobs.csv", "jobs.jsonl"])
def test_file_that_is_not_what_its_name_says(tmp_path, name, content, what):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=f"not what its name says: it looks like .*{what}"):
        from_file(tmp_path / name)


def test_unusable_parquet(tmp_path):
    (tmp_path / "jobs.parquet").write_text("text,label\n", encoding="utf-8")
    with pytest.raises(UserError, match="no parquet file: it looks like text"):
        from_file(tmp_path / "jobs.parquet")
    (tmp_path / "jobs.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(UserError, match="damaged"):
        from_file(tmp_path / "jobs.parquet")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"text": "a", "label": "x"}\n\n{"text": \n', "line 3: this is not JSON"),
        ('{"text": "a", "label": "x"}\n["a"]\n', "line 2: .* no object"),
        ("text,label\na,b\n", "line 1: this is not JSON"),
        (json.dumps([{"text": "a", "label": "x"}]), "one JSON array. Write one JSON object a line"),
        ('{"titel": "a", "label": "x"}\n', "no column `text`; there are `titel`, `label`"),
    ],
)
def test_unusable_json_lines(tmp_path, content, message):
    (tmp_path / "jobs.json").write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=message):
        from_file(tmp_path / "jobs.json")


def test_missing_unreadable_and_unknown_files(tmp_path):
    with pytest.raises(UserError, match=f"no file {tmp_path}/nothing.csv"):
        from_file(tmp_path / "nothing.csv")
    with pytest.raises(UserError, match="is a folder"):
        from_file(tmp_path)
    (tmp_path / "jobs.doc").touch()
    with pytest.raises(UserError, match="what kind of file .* as CSV"):
        from_file(tmp_path / "jobs.doc")
    with pytest.raises(UserError, match="data.train=FILE is needed"):
        prepare(settings("csv"))
    with pytest.raises(UserError, match="data.text=COLUMN and data.label=COLUMN are needed"):
        from_file(write_csv(tmp_path / "a.csv", JOBS), text=None)


def test_empty_and_non_text_cells(tmp_path):
    good = [{"text": f"t{i}", "label": "ab"[i % 2]} for i in range(20)]
    bad = [{"text": None, "label": "a"}] * 12 + [{"label": "a"}, {"text": "x", "label": " "}]
    path = write_json_lines(tmp_path / "a.jsonl", [*good, *bad])
    with pytest.raises(UserError, match="an empty text: rows 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, … .13 in all.\n"):
        from_file(path)
    data = from_file(path, empty_rows="drop")
    assert data.report["read"]["train"]["dropped_rows"] == 14
    assert len(rows_of(data)) == 20
    with pytest.raises(UserError, match="data.empty_rows=maybe"):
        from_file(path, empty_rows="maybe")
    wrong = [{"text": 3, "label": "a"}, {"text": ["x"], "label": "a"}, {"text": "x", "label": 0.5}]
    path = write_json_lines(tmp_path / "a.jsonl", [*good, *wrong, {"text": "\ud800", "label": "a"}])
    with pytest.raises(UserError) as error:
        from_file(path, empty_rows="drop")
    for line in ("no text (int): row 21", "(list): row 22", "(float): row 23", "Unicode (half of"):
        assert line in str(error.value)
    assert "drop" not in str(error.value)


def test_free_text_as_label(tmp_path):
    path = write_csv(tmp_path / "a.csv", [(f"t{i}", f"a sentence {i // 2}") for i in range(300)])
    from_file(path)  # 150 classes of 2 rows each are many, but classes
    with pytest.raises(UserError, match="looks like free text: 300 different labels"):
        from_file(path, text="label", label="text")


def test_label_of_test_that_is_not_in_train(tmp_path):
    train = write_csv(tmp_path / "train.csv", jobs(20))
    test = write_csv(tmp_path / "test.csv", [("a", "care"), ("b", "sales"), ("c", "sales"), ("d", "kitchn")])
    with pytest.raises(
        UserError, match="(?s)labels, 2 do not occur in train .*`sales`: rows 2, 3\n.*`kitchn`: row 4\n"
    ):
        from_file(train, test=str(test))


def test_nothing_half_made_is_left(tmp_path, monkeypatch):
    monkeypatch.setenv("FINETUNE_RECIPES_HOME", str(tmp_path / "home"))
    with pytest.raises(UserError):
        from_file(write_csv(tmp_path / "a.csv", [("a", "x"), ("b", "x")]))
    assert [path.name for path in (tmp_path / "home" / "data").iterdir() if path.is_dir()] == []


def test_names_with_accents_in_two_characters_are_those_in_one(tmp_path):
    rows = [(f"poste {number}", unicodedata.normalize(("NFC", "NFD")[number % 2], "Santé")) for number in range(20)]
    rows += [(f"chantier {number}", "Bâtiment") for number in range(20)]
    header = ("titre", unicodedata.normalize("NFD", "catégorie"))
    data = from_file(write_csv(tmp_path / "a.csv", rows, header), text="titre", label="catégorie")
    assert data.labels == ["Bâtiment", "Santé"]
