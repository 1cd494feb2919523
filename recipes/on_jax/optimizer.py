"""optax's AdamW, and the learning rate over the steps."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import optax

from recipes.contract.job import Job
from recipes.contract.schedule import warmup_steps


def warm_up_then_cosine(job: Job, steps: int, rate: float) -> optax.Schedule:
    """Return the rate at a step counted from 0, where it is not 0: up to `rate`, then down to 0 along a cosine."""
    rising = warmup_steps(job.settings["warmup"], steps)
    return optax.warmup_cosine_decay_schedule(rate / (rising + 1), rate, rising, steps)


def adamw(settings: Mapping[str, Any], schedule: Callable[[float], optax.Schedule]) -> optax.GradientTransformation:
    """Return the optimiser: the head at its own rate; no decay on biases and LayerNorm, which are vectors."""

    def at(rate: float) -> optax.GradientTransformation:
        decayed = partial(jax.tree.map, lambda array: array.ndim > 1)
        beta1, beta2 = settings["betas"]
        return optax.adamw(
            schedule(rate), beta1, beta2, settings["epsilon"], weight_decay=settings["weight_decay"], mask=decayed
        )

    parts = {"encoder": at(settings["learning_rate"]), "head": at(settings["head_learning_rate"])}
    by_part = optax.partition(parts, lambda params: {name: "head" if name == "head" else "encoder" for name in params})
    return optax.chain(optax.clip_by_global_norm(settings["max_grad_norm"]), by_part)
