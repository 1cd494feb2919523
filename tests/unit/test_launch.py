"""When a run is ended, what is kept of what a worker reports, and what is said of one that ended badly."""

from types import SimpleNamespace

import pytest

from harness.config.settings import Limits
from harness.runs import launch
from harness.runs.outcome import Outcome


@pytest.mark.parametrize(
    ("minutes", "memory_gb", "seconds", "resident", "over"),
    [
        (None, 2.0, 1e9, 2_000_000_000, None),
        (None, 2.0, 0.0, 2_010_000_000, ("out_of_memory", "2.01 GB resident is more than limits.memory_gb=2")),
        (None, 2.0, 0.0, 2_000_000_001, ("out_of_memory", "2.00 GB resident is more than limits.memory_gb=2")),
        (1.5, None, 90.0, 10**15, None),
        (1.5, None, 90.1, 0, ("timed_out", "longer than limits.minutes=1.5")),
        (1.5, 2.0, 90.0, 2_000_000_000, None),
    ],
)
def test_a_limit_is_in_minutes_and_in_gb_of_10_to_the_9_bytes(minutes, memory_gb, seconds, resident, over):
    assert launch.exceeded(Limits(minutes=minutes, memory_gb=memory_gb), seconds, resident) == over


def error(message, kind="RuntimeError", **more):
    return {"event": "error", "type": kind, "message": message, **more}


@pytest.mark.parametrize(
    ("code", "message", "transient"),
    [
        (1, "[Errno 98] Address already in use", True),
        (1, "The server socket has failed to bind to [::]:29500 (errno: 98 - Address already in use).", True),
        (1, "num_samples=0", False),
        (-9, None, True),
        (3, None, False),
    ],
)
def test_a_port_that_another_took_and_a_signal_may_not_come_again_and_an_error_of_the_library_does(
    tmp_path, code, message, transient
):
    outcome = Outcome()
    if message:
        outcome.take(error(message))
    launch.diagnose(code, outcome, tmp_path)
    assert outcome.transient is transient


@pytest.mark.parametrize(
    ("code", "events", "ended"),
    [
        (1, [error("a thing\n  and more")], ("failed", "RuntimeError: a thing")),
        (1, [error("first"), error("second")], ("failed", "RuntimeError: first")),
        (1, [error("of another process", rank=3)], ("failed", "RuntimeError: of another process")),
        (1, [error("", "KeyError")], ("failed", "KeyError")),
        (1, [error("\x1b[1;31m \x1b[0m", "KeyError")], ("failed", "KeyError")),
        (1, [error("too much", out_of_memory=True)], ("out_of_memory", "RuntimeError: too much")),
        (1, [error("too much", out_of_memory=False)], ("failed", "RuntimeError: too much")),
        (1, [error("closed by peer")], ("failed", "RuntimeError: closed by peer")),
        (3, [], ("failed", "the worker ended between two phases with exit code 3")),
        (3, ["train"], ("failed", "the worker ended in the phase train with exit code 3")),
        (-9, ["train"], (
            "failed", "the worker was killed in the phase train (by SIGKILL, as the system does when memory runs out)"
        )),
        (-11, [], ("failed", "the worker was killed between two phases (by SIGSEGV)")),
    ],
)  # fmt: skip
def test_a_run_that_ended_badly_says_in_a_line_what_its_worker_told_or_where_it_was(tmp_path, code, events, ended):
    outcome = Outcome()
    for one in events:
        outcome.take({"event": "phase_start", "name": one, "time": 1.0} if isinstance(one, str) else one)
    assert launch.diagnose(code, outcome, tmp_path) == ended
    assert outcome.log_name == "log.txt"


@pytest.mark.parametrize(("message", "free"), [("[Errno 28] No space left on device", 1 << 30), ("x", (1 << 20) - 1)])
def test_a_full_disk_is_what_is_said_whatever_it_broke(tmp_path, monkeypatch, message, free):
    outcome, space = Outcome(), {"free": free}
    monkeypatch.setattr(launch.shutil, "disk_usage", lambda folder: SimpleNamespace(**space))
    outcome.take(error(message))
    full = ("failed", f"no space left on the device ({tmp_path})")
    assert launch.diagnose(1, outcome, tmp_path) == full
    space["free"] = 1 << 20
    assert (launch.diagnose(1, outcome, tmp_path) == full) is ("space" in message), "a MiB is enough to say what was"


def test_of_several_machines_one_that_lost_another_says_so_and_may_be_tried_again(tmp_path):
    for machines, said, transient in (
        (1, "rank 1: RuntimeError: Connection reset by peer", False),
        (2, "rank 1 lost another machine (reset by peer): what is told there says why", True),
    ):
        outcome = Outcome(machines=machines)
        outcome.take(error("Connection reset by peer", rank=1))
        outcome.take({"event": "ended", "rank": 1, "exit_code": 1})
        assert launch.diagnose(1, outcome, tmp_path) == ("failed", said)
        assert (outcome.transient, outcome.log_name) == (transient, "log.rank1.txt")
    outcome = Outcome(machines=2)
    outcome.take(error("no such file"))
    assert launch.diagnose(1, outcome, tmp_path) == ("failed", "RuntimeError: no such file")


WORDS = [
    ("Traceback\n  File\nModuleNotFoundError: No module named 'x'\n\n", "ModuleNotFoundError", "No module named 'x'"),
    ("numpy.core.MemoryError\n", "MemoryError", ""),
    ("a.b.OddException: \u00fc: x", "OddException", "\u00fc: x"),
]


@pytest.mark.parametrize(("text", "kind", "message"), WORDS)
def test_the_last_line_of_a_python_that_could_not_begin_is_its_error(tmp_path, text, kind, message):
    log = tmp_path / "log.txt"
    log.write_bytes(b"\xff\n" + text.encode())  # a library may print what is no UTF-8
    told = launch.last_words(log)
    assert (told["event"], told["type"], told["message"]) == ("error", kind, message)
    outcome = Outcome()
    assert launch.diagnose(1, outcome, tmp_path) == ("failed", f"{kind}: {message}".rstrip(": "))
    assert launch.diagnose(-9, Outcome(), tmp_path)[1].startswith("the worker was killed"), "it was not the error"
    outcome = Outcome()
    outcome.take(error("it told itself"))
    assert launch.diagnose(1, outcome, tmp_path) == ("failed", "RuntimeError: it told itself")


def test_of_several_processes_the_last_words_are_those_of_the_one_to_blame(tmp_path):
    (tmp_path / "log.txt").write_text("KeyError: of the first\n")
    (tmp_path / "log.rank1.txt").write_text("ImportError: of the second\n")
    outcome = Outcome(ended={0: -15, 1: 1})
    assert launch.diagnose(1, outcome, tmp_path) == ("failed", "rank 1: ImportError: of the second")


@pytest.mark.parametrize("text", ["", "\n", "ValueError: x\nstep 3\n", "an Error: x\n", "RuntimeErrors: x\n"])
def test_a_log_that_ends_with_no_error_tells_none(tmp_path, text):
    (tmp_path / "log.txt").write_text(text)
    assert launch.last_words(tmp_path / "log.txt") is None
    assert launch.last_words(tmp_path / "none.txt") is None


@pytest.mark.parametrize(
    ("ended", "errors", "rank"),
    [
        ({0: 1, 1: 1}, [1, 0], 1),  # the first with an error
        ({0: 1, 2: -9, 1: 1}, [1, 0], 2),  # one that ended without a word
        ({0: -15, 1: 1}, [1], 1),  # ended by the launcher
        ({0: -15, 1: 1}, [], 1),
        ({2: -15, 1: -15}, [], 2),  # nobody knows: the first
        ({1: -15}, [0], 1),  # an error of one that went on
    ],
)
def test_of_several_processes_the_one_to_blame_is_silent_or_else_the_first_that_told(ended, errors, rank):
    told = {one: error("x", rank=one) for one in errors}
    assert launch.culprit(Outcome(ended=ended, errors=told)) == rank


EVENTS = [
    {"event": "phase_start", "name": "load", "time": 90.0},
    {"event": "step", "step": 1, "time": 91.0},
    {"event": "phase_end", "name": "load", "seconds": 1.23456, "cpu_seconds": 0.98765},
    {"event": "phase_start", "name": "train", "time": 100.0},
    {"event": "step", "step": 4, "time": 101.0},
    {"event": "epoch", "time": 102.0, "file": "1.npy", "seconds": 0.5},
    {"event": "epoch", "time": 104.0, "file": "2.npy", "seconds": 0.25},
    {"event": "model", "parameters": 7},
    {"event": "first_prediction", "time": 12.34567},
    {"event": "peak", "gflops": 55.5},
    {"event": "resources", "action": "reload", "peak_rss": 5},
    {"event": "reloaded", "max_difference": 1e-7},
    {"event": "resumed", "step": 3, "seconds": 9.5},
    {"event": "checkpoint_refused", "step": 2, "reason": "it is cut short"},
    {"event": "anew", "reason": "no checkpoint"},
    {"event": "waiting", "what": "another machine", "seconds": 12.6},
    {"event": "something new"},
]


def test_what_a_worker_reports_is_kept_and_what_one_should_know_is_said(monkeypatch):
    outcome, said = Outcome(started=10.0), []
    monkeypatch.setattr("harness.base.progress.say", said.append)
    for event in EVENTS:
        outcome.take(event)
    assert outcome == Outcome(
        started=10.0, phases={"load": {"seconds": 1.235, "cpu_seconds": 0.988}}, steps=4, train_start=100.0,
        reported=[(4, 101.0)], epochs=[(102.0, "1.npy"), (104.0, "2.npy")], evaluating=0.75, parameters=7,
        cold_start=2.346, peak_gflops=55.5, resources={"reload": EVENTS[10]}, reload_max_difference=1e-7,
        resumed=(3, 9.5), phase="train",
    )  # fmt: skip
    assert said == [
        "going on from the checkpoint of step 3",
        "the checkpoint of step 2 is left out: it is cut short",
        "training starts from the beginning: no checkpoint",
        "waiting for another machine for 13 s now",
    ]
    outcome.take({"event": "phase_end", "name": "train", "seconds": 5.0, "cpu_seconds": 9.0})
    assert outcome.phase is None


def test_the_judge_ends_a_run_and_the_first_reason_stands():
    outcome = Outcome(judge=lambda event: f"bad step {event['step']}" if event.get("step") == 2 else None)
    outcome.take({"event": "step", "step": 1, "time": 0.0})
    assert outcome.verdict is None
    outcome.take({"event": "step", "step": 2, "time": 0.0})
    assert (outcome.verdict, outcome.steps) == (("pruned", "bad step 2"), 2)
    outcome.end("timed_out", "first")
    outcome.end("failed", "second")
    assert (outcome.status, outcome.reason) == ("timed_out", "first")
    assert outcome.error_type is None
    outcome.take(error("x", "KeyError"))
    assert list(outcome.errors) == [0], "one process is the rank 0"
    assert outcome.error_type == "KeyError"
