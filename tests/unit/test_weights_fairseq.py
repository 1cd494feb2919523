"""fairseq's names of BERT's and RoBERTa's weights, there and back."""

import re

import numpy as np
import pytest

from recipes.fairseq.weights import to_fairseq, to_hugging_face, unused_values

HIDDEN, INNER, LAYERS, VOCABULARY, POSITIONS = 8, 16, 3, 20, 12
PADS = {"bert": 0, "roberta": 1, "camembert": 1, "xlm-roberta": 1}


@pytest.fixture(params=PADS)
def checkpoint(request):
    """Config and random weights of one architecture, by AutoModel's names."""
    generator = np.random.default_rng(0)
    config = {"model_type": request.param, "hidden_act": "gelu", "pad_token_id": PADS[request.param]}
    config |= {"num_hidden_layers": LAYERS, "hidden_size": HIDDEN}
    segments = 2 if request.param == "bert" else 1
    shapes = {
        f"embeddings.{name}_embeddings.weight": (rows, HIDDEN)
        for name, rows in (("word", VOCABULARY), ("position", POSITIONS), ("token_type", segments))
    }
    modules = {"embeddings.LayerNorm": (HIDDEN,)}
    for layer in range(LAYERS):
        below = f"encoder.layer.{layer}"
        modules |= {f"{below}.attention.self.{name}": (HIDDEN, HIDDEN) for name in ("query", "key", "value")}
        modules |= {
            f"{below}.attention.output.dense": (HIDDEN, HIDDEN),
            f"{below}.attention.output.LayerNorm": (HIDDEN,),
        }
        modules |= {f"{below}.intermediate.dense": (INNER, HIDDEN)}
        modules |= {f"{below}.output.dense": (HIDDEN, INNER), f"{below}.output.LayerNorm": (HIDDEN,)}
    for name, shape in modules.items():
        shapes |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    return config, {name: generator.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def test_the_way_there_and_back_is_exact_and_complete(checkpoint):
    config, weights = checkpoint
    again = to_hugging_face(config, to_fairseq(config, weights))
    assert again.keys() == weights.keys()
    for name, values in weights.items():
        assert again[name].dtype == values.dtype
        np.testing.assert_array_equal(again[name], values)


def test_fairseqs_own_names_are_all_there(checkpoint):
    config, weights = checkpoint
    found = to_fairseq(config, weights)
    modules = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.out_proj", "self_attn_layer_norm"]
    modules = [
        f"layers.{layer}.{name}" for layer in range(LAYERS) for name in [*modules, "fc1", "fc2", "final_layer_norm"]
    ]
    expected = {f"{name}.{kind}" for name in [*modules, "layernorm_embedding"] for kind in ("weight", "bias")}
    expected |= {f"embed_{name}.weight" for name in ("tokens", "positions", "segments")} | {"version"}
    assert found.keys() == expected
    assert sum(v.size for v in found.values()) - 1 == sum(v.size for v in weights.values()) + unused_values(config)


def test_position_0_stands_where_fairseq_looks_for_it(checkpoint):
    config, weights = checkpoint
    first = 0 if config["model_type"] == "bert" else config["pad_token_id"] + 1  # in Hugging Face's table
    table = to_fairseq(config, weights)["embed_positions.weight"]
    expected = weights["embeddings.position_embeddings.weight"][first]
    np.testing.assert_array_equal(table[config["pad_token_id"] + 1], expected)


@pytest.mark.parametrize(("key", "value"), [("model_type", "electra"), ("hidden_act", "relu")])
def test_what_it_does_not_map_is_refused_by_name(checkpoint, key, value):
    config, weights = checkpoint
    with pytest.raises(ValueError, match=re.escape(value)):
        to_fairseq(config | {key: value}, weights)
