"""What one sees of a training where there is no terminal."""

import pytest

from harness import display


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
