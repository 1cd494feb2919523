"""Text and tables on terminals of any width: words stay whole, and nothing is lost."""

import random
import re
import shlex
import subprocess

import pytest
from support import on_terminal

from harness.base import layout

WIDTHS = (120, 80, 60, 40, 20)


def words_of(text: str) -> set[str]:
    return {word.rstrip(":") for word in text.split()}  # of a column's name, stacked, a colon is put behind


def too_long(text: str, width: int) -> list[str]:
    """Return the lines that are wider than `width` and could have been broken."""
    return [line for line in text.splitlines() if len(line) > width and len(line.rstrip("\\").split()) > 1]


@pytest.mark.parametrize("width", WIDTHS)
def test_tables_and_text_break_between_words_alone(width):
    draw = random.Random(width)
    for _ in range(50):
        columns, lines = draw.randint(2, 9), draw.randint(1, 6)
        words = [["x" * draw.randint(1, 12) for _ in range(draw.randint(0, 8))] for _ in range(columns * lines)]
        cells = [f"{place}-" + " ".join(some) for place, some in enumerate(words)]
        rows = [cells[start : start + columns] for start in range(0, len(cells), columns)]
        head = [f"name {place}" for place in range(columns)]
        text = {0, *draw.sample(range(columns), draw.randint(0, columns))}
        shown = "\n".join(layout.table(head, rows, text, width))
        assert not too_long(shown, width)
        assert words_of(" ".join(cells)) <= words_of(shown)
        prose = "\n".join(layout.wrapped("  yes  " + " ".join(cells), width))
        assert not too_long(prose, width)
        assert prose.split() == ["yes", *" ".join(cells).split()]


def test_elsewhere_no_line_is_broken():
    rows = [["a", "word " * 100, "1"], ["b", "", "1,000"]]
    assert list(layout.table(["", "what", "n"], rows, {0, 1}, None))[0].endswith("      n")
    assert len(list(layout.table(["", "what", "n"], rows, {0, 1}, None))) == 3
    assert list(layout.wrapped("word " * 100, None)) == ["word " * 100]


def test_a_table_is_whole_then_in_parts_with_its_names_then_stacked():
    head, rows = ["", "first figure", "second figure"], [["torch", "1.0 [0.9, 1.1]", "2.0 [1.9, 2.1]"]]
    assert len(list(layout.table(head, rows, {0}, 60))) == 2
    parts = list(layout.table(head, rows, {0}, 25))
    assert [line.split()[0] for line in parts if line.startswith("torch")] == ["torch"] * 2
    assert list(layout.table(head, rows, {0}, 18)) == [
        "torch", "  first figure:", "    1.0 [0.9, 1.1]", "  second figure:", "    2.0 [1.9, 2.1]",
    ]  # fmt: skip


def test_a_command_goes_over_several_lines_as_a_shell_reads_it():
    command = "    python train.py -m recipe=torch,flair 'data.train=offres (1).csv' seed=0,1,2,3,4 outputs=/tmp/here"
    lines = list(layout.wrapped(command, 40))
    assert len(lines) > 2
    assert not too_long("\n".join(lines), 40)
    pasted = "\n".join(["show() { printf '%s\\n' \"$@\"; }", *lines]).replace("python", "show", 1)
    done = subprocess.run(["bash", "-c", pasted], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == shlex.split(command)[1:]


@pytest.mark.parametrize(
    "words",
    [
        ["scripts/choose.py", "--where", "cpu", "--p95-ms", "10", "--explain"],
        ["scripts/compare.py", "data=onet", "--outputs", "outputs/reference"],
        ["train.py", "--info"],
        ["train.py", "-m", "recipe=tfidf", "seed=-1,0,1", "data=onet", "plan=true", "outputs=/tmp/none"],
        ["scripts/environments.py"],
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_answers_fit_the_terminal(words):
    """The same words at each width, none of them broken."""
    answers = {width: on_terminal(width, *words) for width in (80, 40, 20, 1000)}
    wide = answers.pop(1000)[1]  # the last, since the first may prepare data, and say so
    for width, (code, narrow) in answers.items():
        assert code in (0, 2)
        assert not too_long(narrow, width)
        changing = re.compile(r"\d[\d.,]*(?:/\d+)?%?$")  # memory that is free, ports, ages
        missing = {word for word in words_of(wide) - words_of(narrow) if not changing.match(word)}
        assert not missing
