"""Hugging Face's names -> fairseq's TransformerEncoder (as its RoBERTa has it) -> Hugging Face's names; numpy only.

The two differ in names, and for BERT in one thing more: fairseq counts positions from the padding id on, so its table
has rows below that no position of BERT's takes.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from recipes.weights import Weights
from recipes.weights.maps import SAME, NameMap, Rule, module, pad

ARCHITECTURES = ("bert", "roberta", "camembert", "xlm-roberta")

EMBEDDINGS = {  # Hugging Face -> fairseq
    "embeddings.word_embeddings.weight": "embed_tokens.weight",
    "embeddings.token_type_embeddings.weight": "embed_segments.weight",
}
MODULES = {
    "embeddings.LayerNorm": "layernorm_embedding",
    "encoder.layer.{layer}.attention.self.query": "layers.{layer}.self_attn.q_proj",
    "encoder.layer.{layer}.attention.self.key": "layers.{layer}.self_attn.k_proj",
    "encoder.layer.{layer}.attention.self.value": "layers.{layer}.self_attn.v_proj",
    "encoder.layer.{layer}.attention.output.dense": "layers.{layer}.self_attn.out_proj",
    "encoder.layer.{layer}.attention.output.LayerNorm": "layers.{layer}.self_attn_layer_norm",
    "encoder.layer.{layer}.intermediate.dense": "layers.{layer}.fc1",
    "encoder.layer.{layer}.output.dense": "layers.{layer}.fc2",
    "encoder.layer.{layer}.output.LayerNorm": "layers.{layer}.final_layer_norm",
}
ENDS = {".weight": (".weight", SAME), ".bias": (".bias", SAME)}
VERSION = {"version": np.array([3.0], np.float32)}  # a buffer of fairseq's encoder


def padding(config: Mapping[str, Any]) -> int:
    """Return the token id of padding; refuse architectures that fairseq's encoder is not."""
    kind, activation = config["model_type"], config.get("hidden_act", "gelu")
    if kind not in ARCHITECTURES:
        raise ValueError(f"fairseq's encoder is that of BERT and RoBERTa, and {kind} is neither.")
    if activation != "gelu":
        raise ValueError(f"fairseq's encoder is used with gelu here, and this model has {activation}.")
    return config.get("pad_token_id", 0 if kind == "bert" else 1)


def unused_rows(config: Mapping[str, Any]) -> int:
    """Return how many rows fairseq's table of positions has before the first of Hugging Face's."""
    below = padding(config) + 1
    return below if config["model_type"] == "bert" else 0


def unused_values(config: Mapping[str, Any]) -> int:
    """Return how many values those rows hold: what fairseq's encoder has more than Hugging Face's."""
    return unused_rows(config) * config["hidden_size"]


def to_fairseq(config: Mapping[str, Any], weights: Weights) -> Weights:
    """Rename an encoder's weights (those of AutoModel) to fairseq's; positions: (unused + positions, hidden)."""
    return name_map(config).to_library(weights)


def to_hugging_face(config: Mapping[str, Any], weights: Weights) -> Weights:
    """Rename fairseq's weights of an encoder to AutoModel's; the inverse of `to_fairseq`, exactly."""
    return name_map(config).to_hugging_face(weights)


def name_map(config: Mapping[str, Any]) -> NameMap:
    """Return the map for a Hugging Face config."""
    positions = Rule("embeddings.position_embeddings.weight", "embed_positions.weight", pad(unused_rows(config)))
    rules = [Rule(*names) for names in EMBEDDINGS.items()] + [positions]
    rules += [rule for names in MODULES.items() for rule in module(*names, ENDS)]
    return NameMap(rules, config["num_hidden_layers"], VERSION)
