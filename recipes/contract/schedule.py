"""The learning rate over the steps of a training, as recipes have it in common. Standard library alone."""

import math
from collections.abc import Callable

from recipes.contract.job import Job


def warmup_steps(share: float, steps: int) -> int:
    """Return in how many of `steps` the rate rises: a share of them, from 0 to 1.

    It is rounded up where that leaves half of them, else down, and one at least is left: few steps are for training.
    """
    rising = share * steps
    return min(math.ceil(rising), max(math.floor(rising), steps // 2), steps - 1)


def linear(job: Job, steps: int) -> Callable[[int], float]:
    """Return the share of the rate at a step counted from 0: up while warming up, then down to 0, both linearly.

    Controlled: transformers' linear schedule, whose first step is at 0 where any warm up. That moves no weight, so
    native is one step ahead of it.
    """
    rising, ahead = warmup_steps(job.settings["warmup"], steps), int(not job.controlled)

    def share(step: int) -> float:
        return (step + ahead) / (rising + ahead) if step < rising else (steps - step) / (steps - rising)

    return share
