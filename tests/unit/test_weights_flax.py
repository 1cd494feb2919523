"""The paths of BERT's weights in an encoder of NNX layers, there and back."""

import numpy as np
import pytest

from recipes.flax.weights import from_nnx, to_nnx
from recipes.weights.bert import Bert, to_ours

HIDDEN, INNER, LAYERS, HEADS = 8, 16, 3, 2
BERT = Bert(LAYERS, HEADS, "gelu", 1e-12, 0, 12, 0, "float32")


@pytest.fixture
def weights():
    """Random weights, by AutoModel's names."""
    tables = {"word": 20, "position": 12, "token_type": 2}
    shapes = {f"embeddings.{name}_embeddings.weight": (rows, HIDDEN) for name, rows in tables.items()}
    modules = {"embeddings.LayerNorm": (HIDDEN,)}
    for layer in (f"encoder.layer.{number}" for number in range(LAYERS)):
        modules |= {f"{layer}.attention.self.{name}": (HIDDEN, HIDDEN) for name in ("query", "key", "value")}
        modules |= {f"{layer}.attention.output.dense": (HIDDEN, HIDDEN), f"{layer}.output.dense": (HIDDEN, INNER)}
        modules |= {f"{layer}.intermediate.dense": (INNER, HIDDEN)}
        modules |= {f"{layer}.{name}.LayerNorm": (HIDDEN,) for name in ("attention.output", "output")}
    for name, shape in modules.items():
        shapes |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    generator = np.random.default_rng(0)
    return {name: generator.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def test_the_way_there_and_back_is_exact_and_complete(weights):
    again = from_nnx(BERT, to_nnx(BERT, to_ours(LAYERS, weights)))
    assert again.keys() == weights.keys()
    for name, values in weights.items():
        np.testing.assert_array_equal(again[name], values)


def test_a_head_is_a_slice_of_hugging_faces_rows_and_an_axis_of_nnxs_attention(weights):
    found, size = to_nnx(BERT, to_ours(LAYERS, weights)), HIDDEN // HEADS
    rows = weights["encoder.layer.1.attention.self.key.weight"][size:]  # of the second head
    np.testing.assert_array_equal(found["layers/1/attention/key/kernel"][:, 1], rows.T)
    columns = weights["encoder.layer.1.attention.output.dense.weight"][:, size:]
    np.testing.assert_array_equal(found["layers/1/attention/out/kernel"][1], columns.T)
    assert found["layers/2/attention/value/bias"].shape == (HEADS, size)
    assert found["layers/2/inner/kernel"].shape == (HIDDEN, INNER)


def test_nnx_embeds_have_their_table_in_a_variable(weights):
    found = to_nnx(BERT, to_ours(LAYERS, weights))
    assert {name for name in found if "layers" not in name} == {
        "words/embedding", "positions/embedding", "segments/embedding", "norm/scale", "norm/bias",
    }  # fmt: skip
