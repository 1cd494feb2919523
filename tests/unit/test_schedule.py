"""The learning rate over the steps of a training: how many rise, where it begins, where it ends."""

import types

import pytest

from recipes.contract.schedule import linear, warmup_steps

SHARES = (0, 0.06, 0.1, 0.25, 0.5, 0.9, 1)


def rates(share: float, steps: int, protocol: str) -> list[float]:
    job = types.SimpleNamespace(settings={"warmup": share}, controlled=protocol == "controlled")
    return [linear(job, steps)(step) for step in range(steps)]


@pytest.mark.parametrize(
    ("share", "steps", "rising"),
    [
        (0.1, 1, 0), (0.1, 2, 1), (0.1, 3, 1), (0.06, 16, 1), (0.06, 252, 16), (0.1, 50, 5), (0.25, 5, 2), (0, 7, 0),
        (0.5, 3, 1), (0.5, 1, 0), (0.9, 10, 9), (0.9, 1, 0), (1, 1, 0), (1, 4, 3),
    ],
)  # fmt: skip
def test_warm_up_is_rounded_up_unless_that_leaves_less_than_half(share, steps, rising):
    assert warmup_steps(share, steps) == rising


@pytest.mark.parametrize("share", SHARES)
def test_every_training_has_a_step_at_the_full_rate_and_a_native_one_none_at_0(share):
    for steps in range(1, 60):
        native, controlled = (rates(share, steps, protocol) for protocol in ("native", "controlled"))
        rising = warmup_steps(share, steps)
        assert rising <= max(steps // 2, share * steps)
        assert min(native) > 0
        assert native[rising] == controlled[rising] == 1 == max(native) == max(controlled)
        assert controlled[rising:] == native[rising:]
        assert [rate == 0 for rate in controlled] == [rising > 0, *[False] * (steps - 1)]
        for found in (native, controlled):
            assert found[: rising + 1] == sorted(found[: rising + 1])
            assert found[rising:] == sorted(found[rising:], reverse=True)
