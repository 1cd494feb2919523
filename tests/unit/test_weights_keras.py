"""KerasHub's paths of BERT's and RoBERTa's weights, there and back."""

import numpy as np
import pytest

from recipes.keras.weights import architecture, from_keras, to_keras
from recipes.weights.bert import FIRST_POSITION

HIDDEN, INNER, LAYERS, HEADS, VOCABULARY, POSITIONS = 8, 16, 3, 2, 20, 12


@pytest.fixture(params=FIRST_POSITION)
def checkpoint(request):
    """Config and random weights of one architecture, by AutoModel's names."""
    generator, segments = np.random.default_rng(0), 2 if request.param == "bert" else 1
    config = {"model_type": request.param, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS}
    config |= {"hidden_size": HIDDEN, "intermediate_size": INNER, "vocab_size": VOCABULARY}
    config |= {"max_position_embeddings": POSITIONS, "type_vocab_size": segments}
    shapes = {
        "embeddings.word_embeddings.weight": (VOCABULARY, HIDDEN),
        "embeddings.position_embeddings.weight": (POSITIONS, HIDDEN),
        "embeddings.token_type_embeddings.weight": (segments, HIDDEN),
    }
    modules = {"embeddings.LayerNorm": (HIDDEN,)}
    for layer in (f"encoder.layer.{number}" for number in range(LAYERS)):
        modules |= {f"{layer}.attention.self.{name}": (HIDDEN, HIDDEN) for name in ("query", "key", "value")}
        modules |= {f"{layer}.attention.output.dense": (HIDDEN, HIDDEN), f"{layer}.intermediate.dense": (INNER, HIDDEN)}
        modules |= {f"{layer}.output.dense": (HIDDEN, INNER)}
        modules |= {f"{layer}.{name}.LayerNorm": (HIDDEN,) for name in ("attention.output", "output")}
    for name, shape in modules.items():
        shapes |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    return config, {name: generator.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def test_the_way_there_and_back_is_exact_and_complete(checkpoint):
    config, weights = checkpoint
    again = from_keras(config, to_keras(config, weights))
    assert again.keys() == weights.keys()
    for name, values in weights.items():
        assert again[name].dtype == values.dtype
        np.testing.assert_array_equal(again[name], values)


def test_kerashubs_own_paths_are_all_there_with_its_shapes(checkpoint):
    config, weights = checkpoint
    found = {path: values.shape for path, values in to_keras(config, weights).items()}
    size = HIDDEN // HEADS
    expected = {f"{name}_embedding/embeddings" for name in ("token", "position", "segment")}
    expected |= {f"embeddings_layer_norm/{end}" for end in ("gamma", "beta")}
    for layer in (f"transformer_layer_{number}" for number in range(LAYERS)):
        attention = f"{layer}/self_attention_layer"
        dense = [f"{attention}/{name}" for name in ("query", "key", "value", "attention_output")]
        dense += [f"{layer}/feedforward_{name}_dense" for name in ("intermediate", "output")]
        expected |= {f"{name}/{end}" for name in dense for end in ("kernel", "bias")}
        norms = [f"{layer}/{name}_layer_norm" for name in ("self_attention", "feedforward")]
        expected |= {f"{name}/{end}" for name in norms for end in ("gamma", "beta")}
        assert found[f"{attention}/query/kernel"] == (HIDDEN, HEADS, size)
        assert found[f"{attention}/value/bias"] == (HEADS, size)
        assert found[f"{attention}/attention_output/kernel"] == (HEADS, size, HIDDEN)
        assert found[f"{layer}/feedforward_intermediate_dense/kernel"] == (HIDDEN, INNER)
    assert found.keys() == expected


def test_a_head_is_a_slice_of_hugging_faces_rows(checkpoint):
    config, weights = checkpoint
    kernel = to_keras(config, weights)["transformer_layer_1/self_attention_layer/key/kernel"]
    rows = weights["encoder.layer.1.attention.self.key.weight"][HIDDEN // HEADS :]  # of the second head
    np.testing.assert_array_equal(kernel[:, 1], rows.T)


def test_another_architecture_is_refused_by_name():
    with pytest.raises(ValueError, match="no map for the weights of distilbert"):
        architecture({"model_type": "distilbert"})
