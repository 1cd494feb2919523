"""Weights between Hugging Face and KerasHub's BertBackbone, for the architectures of BERT and RoBERTa.

KerasHub keeps a dense layer's kernel as (in, out), and the heads of attention as an axis of their own. The position
table is whole in both; RoBERTa's first two rows are used by neither.
"""

from collections.abc import Mapping
from typing import Any

from recipes.weights import Weights
from recipes.weights.bert import first_position
from recipes.weights.maps import SAME, TRANSPOSE, NameMap, Rule, module, split

EMBEDDINGS = {  # Hugging Face -> KerasHub
    "embeddings.word_embeddings.weight": "token_embedding/embeddings",
    "embeddings.position_embeddings.weight": "position_embedding/embeddings",
    "embeddings.token_type_embeddings.weight": "segment_embedding/embeddings",
}
NORMS = {
    "embeddings.LayerNorm": "embeddings_layer_norm",
    "encoder.layer.{layer}.attention.output.LayerNorm": "transformer_layer_{layer}/self_attention_layer_norm",
    "encoder.layer.{layer}.output.LayerNorm": "transformer_layer_{layer}/feedforward_layer_norm",
}
DENSE = {
    "encoder.layer.{layer}.intermediate.dense": "transformer_layer_{layer}/feedforward_intermediate_dense",
    "encoder.layer.{layer}.output.dense": "transformer_layer_{layer}/feedforward_output_dense",
}
INTO_HEADS = {
    "encoder.layer.{layer}.attention.self.query": "transformer_layer_{layer}/self_attention_layer/query",
    "encoder.layer.{layer}.attention.self.key": "transformer_layer_{layer}/self_attention_layer/key",
    "encoder.layer.{layer}.attention.self.value": "transformer_layer_{layer}/self_attention_layer/value",
}
OF_HEADS = {
    "encoder.layer.{layer}.attention.output.dense": "transformer_layer_{layer}/self_attention_layer/attention_output",
}


def architecture(config: Mapping[str, Any]) -> dict[str, int]:
    """Return BertBackbone's arguments for a Hugging Face config; those of the dropouts are the job's."""
    first_position(config)  # which refuses what there is no map for
    return {
        "vocabulary_size": config["vocab_size"],
        "num_layers": config["num_hidden_layers"],
        "num_heads": config["num_attention_heads"],
        "hidden_dim": config["hidden_size"],
        "intermediate_dim": config["intermediate_size"],
        "max_sequence_length": config["max_position_embeddings"],
        "num_segments": config["type_vocab_size"],
    }


def to_keras(config: Mapping[str, Any], weights: Weights) -> Weights:
    """Return an encoder's weights by the paths of KerasHub's variables, from those by AutoModel's names."""
    return name_map(config).to_library(weights)


def from_keras(config: Mapping[str, Any], weights: Weights) -> Weights:
    """Return an encoder's weights by AutoModel's names; the inverse of `to_keras`, exactly."""
    return name_map(config).to_hugging_face(weights)


def name_map(config: Mapping[str, Any]) -> NameMap:
    """Return the map for a Hugging Face config.

    Query, key and value: kernel (hidden, heads, size of a head), bias (heads, size of a head); the attention's output:
    kernel (heads, size of a head, hidden); other kernels (in, out).
    """
    heads = config["num_attention_heads"]
    ends = [
        (NORMS, {".weight": ("/gamma", SAME), ".bias": ("/beta", SAME)}),
        (DENSE, {".weight": ("/kernel", TRANSPOSE), ".bias": ("/bias", SAME)}),
        (INTO_HEADS, {".weight": ("/kernel", TRANSPOSE.then(split(1, heads))), ".bias": ("/bias", split(0, heads))}),
        (OF_HEADS, {".weight": ("/kernel", TRANSPOSE.then(split(0, heads))), ".bias": ("/bias", SAME)}),
    ]
    rules = [Rule(*names) for names in EMBEDDINGS.items()]
    rules += [rule for modules, end in ends for names in modules.items() for rule in module(*names, end)]
    return NameMap(rules, config["num_hidden_layers"])
