"""Trax as it can be imported today: what stands in for packages that it asks for, and what is mended for today's JAX.

Trax 1.4.1 is of 2021. It imports all of itself at once, and with that TensorFlow, which has its data sets, its other
backend, its logs for TensorBoard, and the functions that it reads and writes files by. A recipe needs those functions
alone. So there stand in, while Trax is imported, for

    tensorflow             `io.gfile` on plain files
    tensorflow_datasets    data sets, which the job has
    tensorflow_text        tokenizers: the job has token ids
    gym                    the worlds of its reinforcement learning
    matplotlib             pictures in its logs
    trax.tf_numpy          its other backend, in TensorFlow

Whatever else Trax takes out of them is an empty class. Afterwards they are gone from `sys.modules`, where others would
take them for the packages. `mend` says what it changes in Trax, and why.
"""

import contextlib
import os
import sys
from collections.abc import Iterator, MutableSequence, Sequence
from functools import partial
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp

STOOD_IN_FOR = ("tensorflow", "tensorflow_datasets", "tensorflow_text", "gym", "matplotlib", "trax.tf_numpy")


class Empty(type):
    """A class that has an empty class under any name."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Empty(name, (Nothing,), {})


class Nothing(metaclass=Empty):
    """What a stand-in has: it can be called, or be the base of a class, and does nothing."""

    def __init__(self, *values: Any, **named: Any):
        pass


class Files(Nothing):
    """`tensorflow.io.gfile`, for plain files."""

    GFile, exists, makedirs = open, os.path.exists, partial(os.makedirs, exist_ok=True)

    @staticmethod
    def rename(old: str, new: str, overwrite: bool) -> None:
        os.replace(old, new)


class StandIn(ModuleType):
    """A module, and a package of such modules."""

    __path__: MutableSequence[str] = []

    io = type("io", (), {"gfile": Files})

    def __getattr__(self, name: str) -> Any:
        return getattr(Nothing, name)


class Finder(MetaPathFinder, Loader):
    """Finds a stand-in for each of the packages, and for each module of theirs."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        return ModuleSpec(name, self, is_package=True) if is_stood_in_for(name) else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return StandIn(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        pass


def is_stood_in_for(name: str) -> bool:
    return name.startswith(tuple(f"{package}." for package in STOOD_IN_FOR)) or name in STOOD_IN_FOR


@contextlib.contextmanager
def standing_in() -> Iterator[None]:
    """Have stand-ins imported, also where there is the package itself."""
    finder = Finder()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in filter(is_stood_in_for, list(sys.modules)):
            del sys.modules[name]


def mend() -> None:
    """Mend what of Trax today's JAX has no more, or what would need TensorFlow."""
    from trax import fastmath
    from trax import layers as tl
    from trax.layers import acceleration
    from trax.supervised import training

    jax.host_count = jax.process_count  # its name since 2022
    jax.device_put_replicated = lambda x, devices: jnp.stack([x] * len(devices))  # gone; pmap places its arguments
    acceleration.on_cpu = tl.on_cpu = lambda x: x  # it takes what all devices have to the first of them
    fastmath.tree_unflatten = tree_unflatten
    training.Loop._open_summary_writers = no_summary_writers


def tree_unflatten(flat: Sequence[Any], tree: Any, copy_from_tree: Sequence[Any] | None = None) -> tuple[Any, Any]:
    """Return a tree like `tree` of the leaves in `flat`, and those left over.

    As Trax's, which compares with `in`: where the leaf is an array, JAX's answer is an array, which is neither.
    """
    if any(tree is one or (not hasattr(tree, "shape") and tree == one) for one in copy_from_tree or ()):
        return tree, flat
    if isinstance(tree, (list, tuple, dict)):
        found = []
        for part in tree.values() if isinstance(tree, dict) else tree:
            one, flat = tree_unflatten(flat, part, copy_from_tree)
            found.append(one)
        return (dict(zip(tree, found, strict=True)) if isinstance(tree, dict) else type(tree)(found)), flat
    return flat[0], flat[1:]


@contextlib.contextmanager
def no_summary_writers(loop: Any) -> Iterator[tuple[list[None], list[None]]]:
    """Yield no writers, one for each task, as Loop's own does where it has no folder: they write by TensorFlow."""
    yield [None] * len(loop.tasks), [None] * len(loop.eval_tasks)


with standing_in():
    import trax as trax

mend()
