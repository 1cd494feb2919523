"""What is printed where the encoding lacks a character, the reader goes, or nobody reads."""

import json
import os
import subprocess
import sys

import pytest
from results_support import several
from support import ROOT

from harness.base import output

SCRIPTS = sorted(path.name for path in (ROOT / "scripts").glob("*.py"))
NARROW = {"PYTHONIOENCODING": "ascii"}, {"PYTHONIOENCODING": "latin-1"}, {"LC_ALL": "C", "PYTHONUTF8": "0"}


def run(*words, **variables) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, *map(str, words)], capture_output=True, env={**os.environ, **variables}, check=False
    )


@pytest.fixture
def results(tmp_path):
    several(tmp_path / "outputs", {"torch": 0.6, "flair": 0.5})
    return tmp_path / "outputs"


@pytest.mark.parametrize("script", SCRIPTS)
def test_each_script_s_help_is_readable_in_ascii(script):
    done = run(ROOT / "scripts" / script, "--help", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.isascii()
    assert b"usage: " in done.stdout


@pytest.mark.parametrize("variables", NARROW, ids=str)
def test_answers_are_readable_in_encodings_that_lack_their_characters(results, variables):
    for words in (
        ["train.py", "--help"],
        ["scripts/compare.py", "--outputs", results],
        ["scripts/choose.py", "--where", "cpu", "--p95-ms", "1000", "--results", results],
        ["scripts/choose.py", "--json", "--results", results],
    ):
        done = run(ROOT / words[0], *words[1:], **variables)
        assert done.returncode == 0, done.stderr
        assert b"Traceback" not in done.stderr
        said = done.stdout.decode(variables.get("PYTHONIOENCODING", "ascii"))
        assert "?" not in said.replace("? ", "").replace("?\n", "") or "choose" in words[0], "a look-alike was wanted"
        if "--json" in words:
            assert json.loads(said)["libraries"]


@pytest.mark.parametrize(
    ("character", "encoding", "shown"),
    [
        ("…", "ascii", b"..."), ("–", "latin-1", b"-"), ("é", "ascii", b"e"), ("é", "latin-1", b"\xe9"),
        ("≥", "cp1252", b">="), ("\U0001f600", "latin-1", b"?"), ("日", "ascii", b"?"), ("\udce9", "utf-8", b"\xe9"),
        ("\ud83d", "utf-8", b"?"), ("²", "ascii", b"2"),
    ],
)  # fmt: skip
def test_what_an_encoding_lacks_is_replaced_by_what_looks_like_it(character, encoding, shown):
    assert f"a{character}b".encode(encoding, output.look_alike.__name__) == b"a" + shown + b"b"


@pytest.mark.parametrize("words", [["scripts/compare.py"], ["scripts/choose.py"], ["train.py", "--help"]], ids=str)
def test_a_reader_that_goes_is_no_error(words):
    """Not where the output is larger than what a pipe holds, and not at the interpreter's end."""
    command = f'"{sys.executable}" {" ".join(words)} | head -n 1; exit ${{PIPESTATUS[0]}}'
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("\n") == 1


PROGRAM = """import sys
from harness.base.errors import guarded
def work():
    for number in range(3):
        print("x" * 100_000, flush=True)
    print("done", file=sys.stderr)
    return 5
sys.exit(guarded(work))"""


def test_the_work_goes_on_when_its_reader_has_gone_and_its_exit_code_counts():
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdout.close()
    assert process.stderr.read() == b"done\n"
    assert process.wait() == 5


def test_without_an_output_the_work_is_done_and_a_full_disk_is_told_once():
    command = f"exec \"{sys.executable}\" -c '{PROGRAM}'"
    closed = subprocess.run(["bash", "-c", f"{command} >&-"], cwd=ROOT, capture_output=True, check=False)
    assert (closed.returncode, closed.stderr) == (5, b"done\n")
    full = subprocess.run(["bash", "-c", f"{command} >/dev/full"], cwd=ROOT, capture_output=True, check=False)
    assert full.returncode == 1
    assert full.stderr.startswith(b"error: no space left on the device\n")
    assert full.stderr.count(b"\n") == 2


def test_words_in_a_locale_of_ascii_are_utf_8(cli, tmp_path):
    text = "titre;catégorie\n" + "".join(f"métier {i};{'santé' if i % 2 else 'été'}\n" for i in range(40))
    (tmp_path / "offres é.csv").write_text(text, encoding="utf-8")
    words = ["recipe=tfidf", "data=csv", "data.train=offres é.csv", "data.text=titre", "data.label=catégorie"]
    done = cli(*words, "plan=true", LC_ALL="C", PYTHONUTF8="0")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "to do: 1" in done.stdout
    assert "data.label=categorie" in done.stdout


def test_a_name_that_is_no_text_is_told(tmp_path):
    name = os.fsdecode(b"caf\xe9.csv")
    rows = "".join(f"job {i},{'ab'[i % 2]}\n" for i in range(40))
    (tmp_path / name).write_text("text,label\n" + rows, encoding="utf-8")
    words = ["recipe=tfidf", "data=csv", "data.train=" + name, "data.text=text", "data.label=label"]
    done = subprocess.run([sys.executable, ROOT / "train.py", *words], cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 1
    assert b"Traceback" not in done.stderr
    assert b"caf\xe9.csv: not UTF-8" in done.stderr.replace(b"'", b"")
