"""The optimiser steps of a training, one in a program, or with `compile=steps` several: their data, what they tell."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from recipes.contract.job import Job

Item = TypeVar("Item")
Step = Callable[..., tuple[Any, jax.Array, jax.Array]]  # state, its batches, … -> state, loss, the gradient's norm


def most(job: Job) -> int:
    """Return how many steps a program does, at most."""
    return 16 if job.compile == "steps" else 1


def chunks(job: Job, in_epoch: int, done: int) -> Iterator[range]:
    """Yield the steps that go into a program together, counted from 0 over all epochs, after those that are done.

    A chunk ends where an epoch does, and where a checkpoint is due.
    """
    stops = [every for every in (in_epoch, job.checkpoint.steps) if every]
    while done < job.train.epochs * in_epoch:
        end = min(done + most(job), *((done // every + 1) * every for every in stops))
        yield range(done, end)
        done = end


def program(job: Job, step: Step) -> Callable[..., tuple[Any, jax.Array]]:
    """Return what is compiled: state, batches of the steps, their number, … -> state, losses and norms (2, steps).

    The batches are always of `most` steps, of which a loop does as many as there are: one shape more would be compiled
    for each number. The memory of the state that goes in is that of the one that comes out.
    """

    def one(state: Any, batches: Any, number: jax.Array, *others: Any) -> tuple[Any, jax.Array]:
        state, *told = step(state, jax.tree.map(lambda values: values[0], batches), *others)
        return state, jnp.stack(told)[:, None]

    def several(state: Any, batches: Any, number: jax.Array, *others: Any) -> tuple[Any, jax.Array]:
        def add(place: jax.Array, carried: tuple[Any, jax.Array]) -> tuple[Any, jax.Array]:
            state, *told = step(carried[0], jax.tree.map(lambda values: values[place], batches), *others)
            return state, carried[1].at[:, place].set(jnp.stack(told))

        return jax.lax.fori_loop(0, number, add, (state, jnp.zeros((2, most(job)))))

    return jax.jit(several if most(job) > 1 else one, donate_argnums=0)


def ahead(items: Iterator[Item]) -> Iterator[Item]:
    """Yield what comes, while a thread makes the next one."""
    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = thread.submit(next, items, None)
            yield item


def report(job: Job, chunk: range, steps: int, told: jax.Array, rate: Callable[[int], Any]) -> None:
    """Report the steps of a chunk that are to be, of all in a training, with their losses and norms (2, steps).

    Where there is none the device is not waited for.
    """
    if wanted := [step for step in chunk if job.reports(step + 1, steps)]:
        losses, norms = np.asarray(told).tolist()
        for step in wanted:
            place = step - chunk.start
            values = {"loss": losses[place], "learning_rate": float(rate(step)), "grad_norm": norms[place]}
            job.step(step + 1, steps, **values)
