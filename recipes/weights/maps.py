"""One engine for maps of names: Hugging Face -> a library -> Hugging Face, exactly; numpy only.

A library's table is a list of rules: a name that Hugging Face has, the library's, and how the array changes. `{layer}`
in both stands for a layer's number. As where a library has (in, out) kernels with the heads as an axis:

    heads = {".weight": ("/kernel", TRANSPOSE.then(split(1, 12))), ".bias": ("/bias", split(0, 12))}
    rules = [*module("encoder.layer.{layer}.attention.self.query", "layer_{layer}/attention/query", heads), ...]
    names = NameMap(rules, layers=6)
    again = names.to_hugging_face(names.to_library(weights))  # as `weights`, to the bit

Where a library fuses what Hugging Face has apart, a rule has several names of Hugging Face's: their arrays come stacked
along a new first axis. Query, key and value as one kernel (in, 3 x out):

    Rule(("query.weight", "key.weight", "value.weight"), "qkv/kernel", axes(2, 0, 1).then(merge(1, 3)))
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from recipes.weights import Weights


@dataclass(frozen=True)
class Change:
    """A change of an array, from Hugging Face to the library, and its exact inverse."""

    there: Callable[[np.ndarray], np.ndarray]
    back: Callable[[np.ndarray], np.ndarray]

    @property
    def inverse(self) -> "Change":
        return Change(self.back, self.there)

    def then(self, other: "Change") -> "Change":
        """Return this change followed by another."""
        return Change(lambda values: other.there(self.there(values)), lambda values: self.back(other.back(values)))


def axes(*order: int) -> Change:
    """Return the change of the axes' order, in numpy's words."""
    return Change(lambda values: values.transpose(order), lambda values: values.transpose(np.argsort(order)))


def split(axis: int, parts: int) -> Change:
    """Return the split of an axis in two, as into heads: (…, parts x n, …) -> (…, parts, n, …)."""
    return Change(
        lambda values: values.reshape(*values.shape[:axis], parts, -1, *values.shape[axis + 1 :]),
        lambda values: values.reshape(*values.shape[:axis], -1, *values.shape[axis + 2 :]),
    )


def merge(axis: int, parts: int) -> Change:
    """Return the inverse of `split`: (…, parts, n, …) -> (…, parts x n, …)."""
    return split(axis, parts).inverse


def pad(rows: int) -> Change:
    """Return the change to a table with so many rows of zeros before: (n, …) -> (rows + n, …)."""
    return Change(
        lambda values: np.concatenate([np.zeros((rows, *values.shape[1:]), values.dtype), values]),
        lambda values: values[rows:],
    )


SAME = Change(lambda values: values, lambda values: values)
TRANSPOSE = axes(1, 0)  # Hugging Face has kernels as (out, in)


@dataclass(frozen=True)
class Rule:
    """Hugging Face's name of a weight, or names of several that the library has in one; the library's; the change."""

    theirs: str | tuple[str, ...]
    ours: str
    change: Change = SAME

    @property
    def names(self) -> tuple[str, ...]:
        """Hugging Face's names, of which there may be one."""
        return (self.theirs,) if isinstance(self.theirs, str) else self.theirs

    def of(self, layer: int) -> "Rule":
        """Return the rule of one layer."""
        names = tuple(name.format(layer=layer) for name in self.names)
        return Rule(names[0] if isinstance(self.theirs, str) else names, self.ours.format(layer=layer), self.change)


def module(theirs: str, ours: str, ends: Mapping[str, tuple[str, Change]]) -> list[Rule]:
    """Return the rules of a module's weights: `ends` has, for how Hugging Face's names end, ours and the change."""
    return [Rule(theirs + end, ours + own, change) for end, (own, change) in ends.items()]


class NameMap:
    """The names of one encoder, both ways: a table of rules for its number of layers.

    `constants`: what the library has among its weights and Hugging Face has not, by name, always the same.
    """

    def __init__(self, rules: Iterable[Rule], layers: int, constants: Weights | None = None):
        self.rules: list[Rule] = []
        for rule in rules:
            self.rules += [rule.of(layer) for layer in range(layers)] if "{layer}" in rule.ours else [rule]
        self.constants = constants or {}

    def to_library(self, weights: Weights) -> Weights:
        """Return an encoder's weights by the library's names, from those by AutoModel's."""
        check(weights, [name for rule in self.rules for name in rule.names], "Hugging Face's")
        found: Weights = {}
        for rule in self.rules:
            values = [weights[name] for name in rule.names]
            found[rule.ours] = rule.change.there(values[0] if isinstance(rule.theirs, str) else np.stack(values))
        return found | self.constants

    def to_hugging_face(self, weights: Weights) -> Weights:
        """Return an encoder's weights by AutoModel's names, from those by the library's."""
        check(weights, [*(rule.ours for rule in self.rules), *self.constants], "the library's")
        found: Weights = {}
        for rule in self.rules:
            values = rule.change.back(weights[rule.ours])
            found |= zip(rule.names, [values] if isinstance(rule.theirs, str) else values, strict=True)
        return found


def check(weights: Weights, expected: list[str], whose: str) -> None:
    """Raise ValueError that names what is missing among the weights, or is there and in no rule."""
    missing, extra = sorted(set(expected) - weights.keys()), sorted(weights.keys() - set(expected))
    if missing or extra:
        said = [f"missing are {', '.join(missing)}"] if missing else []
        said += [f"in no rule are {', '.join(extra)}"] if extra else []
        raise ValueError(f"{whose} names of these weights are not those of the map: {'; '.join(said)}")
