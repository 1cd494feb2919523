"""Trax's Adam with a rate of its own for the head, and the learning rate over the steps."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import trax

from recipes.contract.job import Job
from recipes.contract.schedule import warmup_steps
from recipes.trax.weights import HEAD

Values = tuple[jnp.ndarray, ...]


class Adam(trax.optimizers.Adam):
    """Trax's, with a share of the learning rate beside the moments of each weight; the head's come last."""

    def __init__(self, job: Job):
        settings = job.settings
        beta1, beta2 = settings["betas"]
        decay, norm = settings["weight_decay"], settings["max_grad_norm"]
        super().__init__(settings["learning_rate"], decay, beta1, beta2, settings["epsilon"], norm)
        self.share = settings["head_learning_rate"] / settings["learning_rate"]

    def tree_init(self, weight_tree: Any) -> tuple[Any, dict[str, Any]]:
        moments, options = super().tree_init(weight_tree)
        shares = [1.0] * (len(moments) - len(HEAD)) + [self.share] * len(HEAD)
        self.slots = tuple((*pair, jnp.array(share)) for pair, share in zip(moments, shares, strict=True))
        return self.slots, options

    def update(self, step: Any, grads: Any, weights: Any, slots: Values, opt_params: dict) -> tuple[Any, Values]:
        *moments, share = slots
        options = opt_params | {"learning_rate": opt_params["learning_rate"] * share}
        weights, moments = super().update(step, grads, weights, moments, options)
        return weights, (*moments, share)


def warm_up_then_cosine(job: Job, steps: int) -> Callable[[int], float]:
    """Return the rate at a step counted from 1, where it is not 0: up, then down to 0 along a cosine."""
    rising = warmup_steps(job.settings["warmup"], steps)
    return trax.lr.multifactor(
        "constant * linear_warmup * cosine_decay",
        constant=job.settings["learning_rate"],
        warmup_steps=rising + 1,
        steps_per_cycle=steps - rising,  # the cycle ends one step after the last, or that would begin the next
    )
