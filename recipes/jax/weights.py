"""Weights between Hugging Face and our own tree of arrays, for the architectures of BERT and RoBERTa; numpy only.

Names are the paths in the tree, `layers/0/query/kernel`; a dense layer's kernel is (in, out). The position table is
whole in both; RoBERTa's first two rows are used by neither.
"""

from collections.abc import Mapping
from typing import Any

from recipes.weights import Weights
from recipes.weights.maps import SAME, TRANSPOSE, NameMap, Rule, module

FIRST_POSITION = {"bert": 0, "roberta": 2, "camembert": 2, "xlm-roberta": 2}  # by config.json's model_type
TABLES = {  # Hugging Face -> ours
    "embeddings.word_embeddings.weight": "words",
    "embeddings.position_embeddings.weight": "positions",
    "embeddings.token_type_embeddings.weight": "segments",
}
NORMS = {
    "embeddings.LayerNorm": "norm",
    "encoder.layer.{layer}.attention.output.LayerNorm": "layers/{layer}/attention_norm",
    "encoder.layer.{layer}.output.LayerNorm": "layers/{layer}/output_norm",
}
DENSE = {
    "encoder.layer.{layer}.attention.self.query": "layers/{layer}/query",
    "encoder.layer.{layer}.attention.self.key": "layers/{layer}/key",
    "encoder.layer.{layer}.attention.self.value": "layers/{layer}/value",
    "encoder.layer.{layer}.attention.output.dense": "layers/{layer}/attention_output",
    "encoder.layer.{layer}.intermediate.dense": "layers/{layer}/inner",
    "encoder.layer.{layer}.output.dense": "layers/{layer}/output",
}


def first_position(config: Mapping[str, Any]) -> int:
    """Return the row of the position table that the first token takes; refuse architectures that have no map."""
    if config["model_type"] not in FIRST_POSITION:
        known = ", ".join(FIRST_POSITION)
        raise ValueError(f"recipe=jax has no map for the weights of {config['model_type']}; it has for {known}.")
    return FIRST_POSITION[config["model_type"]]


def to_jax(layers: int, weights: Weights) -> Weights:
    """Return an encoder's weights by their paths in our tree, from those by AutoModel's names."""
    return name_map(layers).to_library(weights)


def from_jax(layers: int, weights: Weights) -> Weights:
    """Return an encoder's weights by AutoModel's names; the inverse of `to_jax`, exactly."""
    return name_map(layers).to_hugging_face(weights)


def name_map(layers: int) -> NameMap:
    """Return the map for an encoder of so many layers."""
    norm = {".weight": ("/scale", SAME), ".bias": ("/bias", SAME)}
    dense = {".weight": ("/kernel", TRANSPOSE), ".bias": ("/bias", SAME)}
    rules = [Rule(*names) for names in TABLES.items()]
    for modules, ends in ((NORMS, norm), (DENSE, dense)):
        rules += [rule for names in modules.items() for rule in module(*names, ends)]
    return NameMap(rules, layers)
