"""Trees of arrays as flat mappings, from an array's path in the tree (`layers/0/query/kernel`) to its numbers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import jax
import numpy as np
from jax.tree_util import keystr, tree_map_with_path
from safetensors.numpy import load_file, save_file

Tree = TypeVar("Tree")


def flat(tree: Any) -> dict[str, np.ndarray]:
    """Return the arrays of a tree by their paths; of a random key, its numbers."""
    return {name(path): np.asarray(raw(leaf)) for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tree of dictionaries that paths describe; where all their keys are numbers, it is a list."""
    tree: dict[str, Any] = {}
    for path, value in values.items():
        *parents, last = path.split("/")
        place = tree
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = value
    return {key: listed(value) for key, value in tree.items()}


def listed(tree: Any) -> Any:
    if isinstance(tree, dict) and all(key.isdigit() for key in tree):
        return [tree[str(number)] for number in range(len(tree))]
    return tree


def save(tree: Any, path: Path) -> None:
    """Write a tree's arrays into a file, which holds numbers and nothing that could be run."""
    save_file(flat(tree), path)


def restored(tree: Tree, path: Path) -> Tree:
    """Return a tree like `tree`, on the same devices, with the arrays that `save` wrote of one."""
    values = load_file(path)

    def read(path: Any, leaf: jax.Array) -> jax.Array:
        found = jax.device_put(values[name(path)], raw(leaf).sharding)
        return jax.random.wrap_key_data(found, impl=jax.random.key_impl(leaf)) if is_key(leaf) else found

    return tree_map_with_path(read, tree)


def name(path: Any) -> str:
    return keystr(path, simple=True, separator="/")


def is_key(leaf: Any) -> bool:
    return jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def raw(leaf: Any) -> Any:
    return jax.random.key_data(leaf) if is_key(leaf) else leaf
