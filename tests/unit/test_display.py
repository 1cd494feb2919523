"""What one sees of a training where there is no terminal."""

import re

import pytest
from support import ROOT

from harness.runs import display


@pytest.mark.parametrize("first", [1, 41])
def test_the_time_left_goes_by_the_steps_since_the_first_that_was_told(monkeypatch, capsys, first):
    """A first step that compiles for a minute, or a training that goes on at step 41, does not count."""
    now = [0.0]
    monkeypatch.setattr(display.time, "monotonic", lambda: now[0])
    shown = display.Display()
    shown.take({"event": "phase_start", "name": "train"})
    for step in range(first, first + 31):
        now[0] += 60 if step == first else 1
        shown.take({"event": "step", "step": step, "steps": 100, "loss": 0.5})
    lines = capsys.readouterr().err.splitlines()
    assert lines[:2] == ["training …", f"  step {first}/100  loss 0.500"]
    assert lines[2:] == [f"  step {first + done}/100  loss 0.500  {100 - first - done} s left" for done in (11, 22)]


def test_what_comes_after_training_is_told_with_how_far_it_is(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr(display.time, "monotonic", lambda: now[0])
    shown = display.Display()
    shown.take({"event": "phase_start", "name": "evaluate_test"})
    for done in range(64, 2001, 64):
        now[0] += 1
        shown.take({"event": "rows", "done": done, "of": 2000})
    shown.take({"event": "phase_start", "name": "measure"})
    for texts in (1, 8):
        shown.take({"event": "batch_size", "texts": texts})
    assert capsys.readouterr().err.splitlines() == [
        "predicting test …", "  704 of 2,000 rows", "  1,408 of 2,000 rows",
        "timing predictions of one text …", "timing predictions, 8 texts at a time …",
    ]  # fmt: skip


def test_every_phase_that_a_worker_marks_has_words_of_its_own():
    told = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "recipes").rglob("*.py"))
    marked = set(re.findall(r'phase\("(\w+)"\)', told)) | {"evaluate_valid", "evaluate_test"}
    assert len(marked) > 8
    assert marked - {"measure"} <= display.PHASES.keys(), "of `measure` each batch size is told"
