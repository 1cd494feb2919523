"""BERT in a framework's own layers: what `config.json` says of it, and the names of its weights; numpy only.

The names are paths in a tree (tokens x numbers; a kernel is in x out):

    words, positions, segments              tables
    norm/{scale,bias}                       LayerNorm of their sum
    layers/0/{query,key,value}/{kernel,bias}
    layers/0/attention_output/{kernel,bias}, layers/0/attention_norm/{scale,bias}
    layers/0/{inner,output}/{kernel,bias},   layers/0/output_norm/{scale,bias}

The position table is whole, as in Hugging Face; RoBERTa's first two rows are used by neither.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recipes import weights
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


@dataclass(frozen=True)
class Bert:
    """What the arrays do not show of an encoder; it can be hashed, to be fixed where a function is compiled."""

    layers: int
    heads: int
    activation: str
    epsilon: float  # of LayerNorm
    first_position: int  # the row of the position table that the first token takes
    longest: int  # tokens at most
    padding: int  # the token id of padding
    dtype: str  # that is computed in: float32, or bfloat16, with the sums of LayerNorm in float32


def read(folder: Path, precision: str, activations: Collection[str]) -> tuple[Bert, Weights]:
    """Return the encoder in a Hugging Face folder: what it is, and its weights, float32, by our names.

    `activations`: those that the recipe has. ValueError names what it has not.
    """
    config, values = weights.read(folder)
    bert = taken(config, precision, activations)
    return bert, to_ours(bert.layers, values)


def taken(config: Mapping[str, Any], precision: str, activations: Collection[str]) -> Bert:
    """Return what a config.json says; refuse what the recipe has not: architectures, activations."""
    bert = described(config, precision)
    if bert.activation not in activations:
        raise ValueError(f"this recipe has no activation {bert.activation}; it has {', '.join(activations)}.")
    return bert


def described(config: Mapping[str, Any], precision: str) -> Bert:
    """Return what a config.json says; refuse architectures that have no map."""
    first = first_position(config)
    return Bert(
        config["num_hidden_layers"],
        config["num_attention_heads"],
        config["hidden_act"],
        config["layer_norm_eps"],
        first,
        config["max_position_embeddings"] - first,
        config["pad_token_id"],
        "bfloat16" if precision == "bf16" else "float32",
    )


def first_position(config: Mapping[str, Any]) -> int:
    """Return the row of the position table that the first token takes; refuse architectures that have no map."""
    if config["model_type"] not in FIRST_POSITION:
        known = ", ".join(FIRST_POSITION)
        raise ValueError(f"this recipe has no map for the weights of {config['model_type']}; it has for {known}.")
    return FIRST_POSITION[config["model_type"]]


def to_ours(layers: int, values: Weights) -> Weights:
    """Return an encoder's weights by their paths in our tree, from those by AutoModel's names."""
    return name_map(layers).to_library(values)


def from_ours(layers: int, values: Weights) -> Weights:
    """Return an encoder's weights by AutoModel's names; the inverse of `to_ours`, exactly."""
    return name_map(layers).to_hugging_face(values)


def name_map(layers: int) -> NameMap:
    """Return the map for an encoder of so many layers."""
    norm = {".weight": ("/scale", SAME), ".bias": ("/bias", SAME)}
    dense = {".weight": ("/kernel", TRANSPOSE), ".bias": ("/bias", SAME)}
    rules = [Rule(*names) for names in TABLES.items()]
    for modules, ends in ((NORMS, norm), (DENSE, dense)):
        rules += [rule for names in modules.items() for rule in module(*names, ends)]
    return NameMap(rules, layers)
