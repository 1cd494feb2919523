"""optax's AdamW, and the learning rate over the steps."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import optax
from jax.tree_util import keystr, tree_map_with_path

from recipes.contract.job import Job
from recipes.contract.schedule import warmup_steps


def warm_up_then_cosine(job: Job, steps: int, rate: float) -> optax.Schedule:
    """Return the rate at a step counted from 0, where it is not 0: up to `rate`, then down to 0 along a cosine."""
    rising = warmup_steps(job.settings["warmup"], steps)
    return optax.warmup_cosine_decay_schedule(rate / (rising + 1), rate, rising, steps)


def warm_up_then_linear(job: Job, steps: int, rate: float) -> optax.Schedule:
    """Return the rate at a step counted from 0: from 0 up to `rate`, then down to 0, both linearly."""
    rising = warmup_steps(job.settings["warmup"], steps)
    up, down = optax.linear_schedule(0.0, rate, rising), optax.linear_schedule(rate, 0.0, steps - rising)
    return optax.join_schedules([up, down], [rising])


def adamw(settings: Mapping[str, Any], schedule: Callable[[float], optax.Schedule]) -> optax.GradientTransformation:
    """Return the optimiser of a tree with a "head": that at its own rate, no decay on biases and LayerNorm.

    The betas are rounded to float32, in which optax takes their powers: of 0.999 in double it takes 1 - beta for the
    moments, and that is 1.3e-5 from the 1 - beta by which it corrects them.
    """
    beta1, beta2 = np.array(settings["betas"], np.float32).tolist()

    def at(rate: float) -> optax.GradientTransformation:
        decayed = by_names(lambda names: not {"bias", "scale"} & names)
        return optax.adamw(
            schedule(rate), beta1, beta2, settings["epsilon"], weight_decay=settings["weight_decay"], mask=decayed
        )

    parts = {"encoder": at(settings["learning_rate"]), "head": at(settings["head_learning_rate"])}
    by_part = optax.partition(parts, by_names(lambda names: "head" if "head" in names else "encoder"))
    return optax.chain(optax.clip_by_global_norm(settings["max_grad_norm"]), by_part)


def by_names(told: Callable[[set[str]], Any]) -> Callable[[Any], Any]:
    """Return the function from a tree to one like it of what is told of each array, by the names that lead to it."""
    return partial(tree_map_with_path, lambda path, array: told({keystr([key], simple=True) for key in path}))
