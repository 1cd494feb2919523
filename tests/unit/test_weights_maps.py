"""The engine for maps of names, by tables such as a library with other habits has: exact both ways, and strict."""

import re

import numpy as np
import pytest

from recipes.weights.maps import SAME, TRANSPOSE, NameMap, Rule, axes, merge, module, pad, split

WIDTH, HEADS, LAYERS = 6, 2, 2
QKV = tuple(f"encoder.{{layer}}.{name}.weight" for name in ("query", "key", "value"))
FUSED = axes(2, 0, 1)  # stacked (3, out, in) -> (in, 3, out)
TABLES = {  # of one encoder with QKV and a dense layer: as Flax, as Trax, as a library that fuses, has them
    "heads as axes": [Rule(name, name.replace(".weight", "/kernel"), TRANSPOSE.then(split(1, HEADS))) for name in QKV],
    "fused side by side": [Rule(QKV, "blocks.{layer}.qkv.w", FUSED.then(merge(1, 3)))],
    "fused, heads as axes": [Rule(QKV, "{layer}/qkv", FUSED.then(merge(1, 3)).then(split(1, 3 * HEADS)))],
    "fused by head": [
        Rule(QKV, "{layer}/qkv", split(1, HEADS).then(axes(1, 0, 2, 3)).then(merge(0, HEADS)).then(merge(0, 3 * HEADS)))
    ],
}
DENSE = module("encoder.{layer}.dense", "{layer}/dense", {".weight": ("/w", TRANSPOSE), ".bias": ("/b", SAME)})
POSITIONS = [Rule("positions", "table", pad(2))]


def weights() -> dict[str, np.ndarray]:
    draw = np.random.default_rng(0).normal
    found = {"positions": draw(size=(5, WIDTH)).astype(np.float32)}
    for layer in range(LAYERS):
        for name in (*QKV, "encoder.{layer}.dense.weight"):
            found[name.format(layer=layer)] = draw(size=(WIDTH, WIDTH)).astype(np.float32)
        found[f"encoder.{layer}.dense.bias"] = draw(size=WIDTH).astype(np.float32)
    return found


def mapped(table: str, **constants: np.ndarray) -> NameMap:
    return NameMap([*TABLES[table], *DENSE, *POSITIONS], LAYERS, constants)


@pytest.mark.parametrize("table", TABLES)
def test_the_way_there_and_back_is_exact_and_complete(table):
    given, names = weights(), mapped(table, version=np.array([3.0]))
    there = names.to_library(given)
    assert "version" in there
    again = names.to_hugging_face(there)
    assert again.keys() == given.keys()
    for name, values in given.items():
        assert again[name].dtype == values.dtype
        np.testing.assert_array_equal(again[name], values)


def test_heads_and_fused_kernels_lie_where_the_library_looks_for_them():
    given = weights()
    query, key, value = (given[name.format(layer=1)] for name in QKV)
    second = slice(WIDTH // HEADS, None)  # rows of Hugging Face's kernel: of the second head
    np.testing.assert_array_equal(
        mapped("heads as axes").to_library(given)["encoder.1.key/kernel"][:, 1], key[second].T
    )
    side = mapped("fused side by side").to_library(given)["blocks.1.qkv.w"]
    np.testing.assert_array_equal(side, np.concatenate([query.T, key.T, value.T], axis=1))
    by_head = mapped("fused by head").to_library(given)["1/qkv"]
    np.testing.assert_array_equal(by_head[-WIDTH // HEADS :], value[second])
    table = mapped("heads as axes").to_library(given)["table"]
    np.testing.assert_array_equal(table, np.concatenate([np.zeros((2, WIDTH)), given["positions"]]))


def test_a_name_that_is_missing_or_in_no_rule_is_told_either_way():
    given, names = weights(), mapped("fused side by side")
    there = names.to_library(given)
    del given["encoder.1.key.weight"], there["1/dense/w"]
    said = "Hugging Face's names of these weights are not those of the map: missing are encoder.1.key.weight; "
    with pytest.raises(ValueError, match=re.escape(f"{said}in no rule are a, b") + "$"):
        names.to_library(given | {"b": np.ones(1), "a": np.ones(1)})
    with pytest.raises(ValueError, match="the library's names .*: missing are 1/dense/w$"):
        names.to_hugging_face(there)
    with pytest.raises(ValueError, match="in no rule are encoder.2.query.weight$"):  # a layer that there should not be
        names.to_library(weights() | {"encoder.2.query.weight": np.ones(1)})
