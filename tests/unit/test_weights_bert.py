"""The paths of BERT's and RoBERTa's weights in our own tree, there and back."""

import numpy as np
import pytest

from recipes.weights.bert import FIRST_POSITION, first_position, from_ours, to_ours

HIDDEN, INNER, LAYERS, VOCABULARY, POSITIONS = 8, 16, 3, 20, 12
DENSE = {
    "attention.self.query": (HIDDEN, HIDDEN),
    "attention.self.key": (HIDDEN, HIDDEN),
    "attention.self.value": (HIDDEN, HIDDEN),
    "attention.output.dense": (HIDDEN, HIDDEN),
    "intermediate.dense": (INNER, HIDDEN),
    "output.dense": (HIDDEN, INNER),
}


@pytest.fixture
def weights():
    """Random weights, by AutoModel's names."""
    generator = np.random.default_rng(0)
    tables = {"word": VOCABULARY, "position": POSITIONS, "token_type": 2}
    shapes = {f"embeddings.{name}_embeddings.weight": (rows, HIDDEN) for name, rows in tables.items()}
    modules = {"embeddings.LayerNorm": (HIDDEN,)}
    for layer in (f"encoder.layer.{number}" for number in range(LAYERS)):
        modules |= {f"{layer}.{name}": shape for name, shape in DENSE.items()}
        modules |= {f"{layer}.{name}.LayerNorm": (HIDDEN,) for name in ("attention.output", "output")}
    for name, shape in modules.items():
        shapes |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    return {name: generator.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def test_the_way_there_and_back_is_exact_and_complete(weights):
    again = from_ours(LAYERS, to_ours(LAYERS, weights))
    assert again.keys() == weights.keys()
    for name, values in weights.items():
        assert again[name].dtype == values.dtype
        np.testing.assert_array_equal(again[name], values)


def test_kernels_are_in_by_out_and_vectors_alone_do_not_decay(weights):
    found = to_ours(LAYERS, weights)
    np.testing.assert_array_equal(
        found["layers/1/inner/kernel"], weights["encoder.layer.1.intermediate.dense.weight"].T
    )
    vectors = {name for name, values in found.items() if values.ndim == 1}
    assert vectors == {name for name in found if name.endswith(("/bias", "/scale"))}
    assert {name for name in found if "/" not in name} == {"words", "positions", "segments"}


def test_another_architecture_is_refused_by_name():
    assert {kind: first_position({"model_type": kind}) for kind in FIRST_POSITION} == FIRST_POSITION
    with pytest.raises(ValueError, match="no map for the weights of distilbert"):
        first_position({"model_type": "distilbert"})
