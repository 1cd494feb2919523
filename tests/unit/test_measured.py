"""What is said about time: which texts are predicted, and what figures come of the calls."""

from types import SimpleNamespace

import numpy as np
import pytest

from harness.figures import measured, row
from harness.runs.outcome import Outcome
from recipes.contract.split import InTwo
from recipes.worker import inference

VALID = SimpleNamespace(task="classification", labels=["a", "b"], scale=(0.0, 1.0))


class Texts:
    """A split of 300 texts of 1 to 60 tokens, most of them short."""

    lengths = np.minimum(60, np.random.default_rng(0).geometric(0.1, 300))

    def __len__(self):
        return len(self.lengths)

    def batch(self, rows):
        return self.lengths[rows]


def test_figures_of_calls_are_numpy_s_percentiles_in_milliseconds():
    figures = measured.of_calls(np.random.default_rng(0).permutation(np.arange(1, 101)) / 1000, 8)
    assert figures["calls"] == 100
    assert [figures[f"p{rank}_ms"] for rank in (50, 90, 95, 99)] == pytest.approx([50.5, 90.1, 95.05, 99.01])
    assert figures["texts_per_second"] == pytest.approx(800 / 5.05, abs=0.01)


def test_figures_of_calls_have_tenths_of_microseconds_and_hundredths_of_texts():
    figures = measured.of_calls(np.full(3, 0.00123456789), 1)
    assert figures["p50_ms"] == figures["p99_ms"] == 1.2346
    assert figures["texts_per_second"] == 810.0
    assert measured.of_calls(np.array([0.007]), 1)["texts_per_second"] == 142.86


def test_calls_have_figures_by_their_size_where_the_run_finished(tmp_path):
    nothing_measured = {"inference.cold_start_seconds": 2.5}
    assert measured.inference(tmp_path, Outcome(cold_start=2.5)) == nothing_measured
    seconds = {"seconds_1": np.full(4, 0.01), "seconds_32": np.full(2, 0.1)}
    np.savez(tmp_path / "inference.npz", tokens_1=np.full(4, 9), **seconds)
    percentiles = ("p50_ms", "p90_ms", "p95_ms", "p99_ms")
    assert measured.inference(tmp_path, Outcome(cold_start=2.5)) == {
        **nothing_measured,
        "inference.batch1.calls": 4,
        **{f"inference.batch1.{key}": 10.0 for key in percentiles},
        "inference.batch1.texts_per_second": 100.0,
        "inference.batch32.calls": 2,
        **{f"inference.batch32.{key}": 100.0 for key in percentiles},
        "inference.batch32.texts_per_second": 320.0,
    }
    assert measured.inference(tmp_path, Outcome(status="failed", cold_start=2.5)) == nothing_measured


@pytest.mark.parametrize("size", [1, 32])
def test_every_shape_of_the_measured_calls_was_met_in_a_warm_up_on_other_batches(size):
    warm, measured_ones = [], []
    inference.warm_up(warm.append, Texts(), inference.drawn(Texts(), size, stream=0))
    draw = inference.drawn(Texts(), size, stream=1)
    seconds, tokens, _ = inference.timed(measured_ones.append, Texts(), draw, calls=100, seconds=0.0)
    assert 10 <= len(warm) < 30, "no more than are needed"
    assert {-(-max(batch) // 8) for batch in measured_ones} <= {-(-max(batch) // 8) for batch in warm}
    assert size == 1 or not {tuple(batch) for batch in warm} & {tuple(batch) for batch in measured_ones}
    assert len(seconds) == len(measured_ones) == 100
    assert tokens.tolist() == [batch.sum() for batch in measured_ones]
    again = inference.drawn(Texts(), size, stream=1)
    assert all(np.array_equal(Texts().batch(again()), batch) for batch in measured_ones), "all get the same"


@pytest.fixture
def clock(monkeypatch):
    """A clock that goes on when it is told to, in seconds."""
    now = [100.0]
    monkeypatch.setattr(inference.time, "perf_counter", lambda: now[0])
    return now


def test_calls_are_measured_for_as_long_as_was_asked(clock):
    def predict(batch):
        clock[0] += 0.25

    seconds, *_ = inference.timed(predict, Texts(), lambda: np.array([0]), calls=1, seconds=1.75)
    assert seconds.tolist() == [0.25] * 7
    assert len(inference.timed(predict, Texts(), lambda: np.array([0]), calls=9, seconds=1.75)[0]) == 9


def test_of_a_prediction_in_two_parts_the_first_is_told_apart(clock, tmp_path):
    def takes(seconds):
        def part(batch):
            clock[0] += seconds
            return batch

        return part

    in_two = InTwo(takes(0.25), takes(0.5))
    seconds, tokens, preparing = inference.timed(in_two, Texts(), lambda: np.array([0]), calls=4, seconds=0.0)
    assert (seconds.tolist(), preparing.tolist()) == ([0.75] * 4, [0.25] * 4)
    np.savez(tmp_path / "inference.npz", seconds_1=seconds, tokens_1=tokens, preparing_1=preparing)
    figures = measured.inference(tmp_path, Outcome())
    assert figures["inference.batch1.p50_ms"] == 750.0
    assert figures["inference.batch1.model.p50_ms"] == 500.0
    assert figures["inference.batch1.model.texts_per_second"] == 2.0


def test_slow_calls_end_in_time_and_every_shape_is_still_met(clock):
    def slow(batch):
        made.append(batch)
        clock[0] += 0.5

    made = []
    inference.warm_up(slow, Texts(), inference.drawn(Texts(), 1, stream=0), at_most=0.0)
    shapes = [-(-max(batch) // inference.SHAPE) for batch in made]
    assert len(set(shapes)) == len(shapes) > 3, "each shape once"
    seconds, *_ = inference.timed(slow, Texts(), lambda: np.array([0]), calls=100, seconds=0.0, at_most=1.5)
    assert len(seconds) == 3


def test_a_steady_step_is_the_mean_between_two_that_were_told_and_the_first_ten_are_left_out():
    """Step 1 after 5 s, 9 more of 2 s; then by tens of 1 s, but the steps 31 to 40, of 3 s; the last is told twice."""
    told = [(1, 105.0), (10, 123.0), (20, 133.0), (30, 143.0), (40, 173.0), (43, 176.0), (43, 176.5)]
    found = measured.steps(100.0, told)
    each = [1.0, 1.0, 3.0, 1.0]
    assert found["train.first_step_seconds"] == 5.0
    assert found["train.step_seconds_median"] == 1.0
    assert found["train.step_seconds_p90"] == pytest.approx(np.percentile(each, 90))
    assert found["train.step_seconds_p10"] == 1.0


def test_the_steps_percentiles_lie_between_and_have_five_digits():
    """Steps of 0, 1, 2 and 3 hundredths of a second: the tenth part lies at 0.3 of the way from 0 to 3, and so on."""
    found = measured.steps(0.0, [(10, 1.0), (11, 1.0), (12, 1.01), (13, 1.03), (14, 1.06)])
    expected = {"first_step_seconds": None, "step_seconds_median": 0.015}
    expected |= {"step_seconds_p10": 0.003, "step_seconds_p90": 0.027}
    assert found == {f"train.{key}": value for key, value in expected.items()}
    assert measured.steps(0.0, [(10, 1.0), (13, 2.0)])["train.step_seconds_median"] == 0.33333


@pytest.mark.parametrize("told", [[], [(8, 3.0)], [(40, 9.0)]])
def test_what_was_not_told_is_null(told):
    assert set(measured.steps(1.0, told).values()) == {None}, "the first step of a resumed training is no first one"


EPOCHS = [(110.0, "wrong.npy"), (120.0, "right.npy"), (130.0, "right.npy")]


@pytest.mark.parametrize(
    ("target", "outcome", "seconds"),
    [
        (0.9, Outcome(train_start=100.0, epochs=EPOCHS), 20.0),
        (0.1, Outcome(train_start=100.0, epochs=EPOCHS), 10.0),
        (0.9, Outcome(train_start=100.0, epochs=EPOCHS[:1]), None),
        (0.9, Outcome(train_start=100.0, epochs=EPOCHS, resumed=(8, 5.0)), None),
        (0.5, Outcome(train_start=100.0), 33.0),
        (0.7, Outcome(train_start=100.0), None),
    ],
    ids=["second epoch", "first epoch", "not reached", "resumed", "no epochs", "no epochs, not reached"],
)
def test_the_time_to_a_target_ends_with_the_first_epoch_that_reached_it(tmp_path, target, outcome, seconds):
    labels = np.array([0, 1, 0, 1])
    np.savez(tmp_path / "predictions_valid.npz", labels=labels)
    (tmp_path / "epochs").mkdir()
    np.save(tmp_path / "epochs" / "right.npy", np.eye(2)[labels])
    np.save(tmp_path / "epochs" / "wrong.npy", np.eye(2)[[0, 0, 0, 1]][::-1])  # half are right, both classes are said
    found = row.to_target(target, VALID, tmp_path, outcome, {"valid.macro_f1": 0.6, "train.seconds": 33.0})
    assert found == {"train.target": target, "train.target_seconds": seconds}


def test_without_a_target_nothing_is_said_of_it(tmp_path):
    assert row.to_target(None, VALID, tmp_path, Outcome(), {"valid.macro_f1": 0.6}) == {}
