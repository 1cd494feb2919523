"""Hugging Face's names -> fairseq's TransformerEncoder (as its RoBERTa has it) -> Hugging Face's names; numpy only.

The two differ in names, and for BERT in one thing more: fairseq counts positions from the padding id on, so its table
has rows below that no position of BERT's takes.
"""

import numpy as np

from recipes.weights import Weights

ARCHITECTURES = ("bert", "roberta", "camembert", "xlm-roberta")

EMBEDDINGS = {  # Hugging Face -> fairseq
    "embeddings.word_embeddings": "embed_tokens",
    "embeddings.position_embeddings": "embed_positions",
    "embeddings.token_type_embeddings": "embed_segments",
    "embeddings.LayerNorm": "layernorm_embedding",
}
LAYER = {
    "attention.self.query": "self_attn.q_proj",
    "attention.self.key": "self_attn.k_proj",
    "attention.self.value": "self_attn.v_proj",
    "attention.output.dense": "self_attn.out_proj",
    "attention.output.LayerNorm": "self_attn_layer_norm",
    "intermediate.dense": "fc1",
    "output.dense": "fc2",
    "output.LayerNorm": "final_layer_norm",
}
POSITIONS = "embed_positions.weight"
VERSION = "version"  # a buffer of fairseq's encoder


def padding(config: dict) -> int:
    """Return the token id of padding; refuse architectures that fairseq's encoder is not."""
    kind, activation = config["model_type"], config.get("hidden_act", "gelu")
    if kind not in ARCHITECTURES:
        raise ValueError(f"fairseq's encoder is that of BERT and RoBERTa, and {kind} is neither.")
    if activation != "gelu":
        raise ValueError(f"fairseq's encoder is used with gelu here, and this model has {activation}.")
    return config.get("pad_token_id", 0 if kind == "bert" else 1)


def unused_rows(config: dict) -> int:
    """Return how many rows fairseq's table of positions has before the first of Hugging Face's."""
    pad = padding(config)
    return pad + 1 if config["model_type"] == "bert" else 0


def unused_values(config: dict) -> int:
    """Return how many values those rows hold: what fairseq's encoder has more than Hugging Face's."""
    return unused_rows(config) * config["hidden_size"]


def to_fairseq(config: dict, weights: Weights) -> Weights:
    """Rename an encoder's weights (those of AutoModel) to fairseq's; positions: (unused + positions, hidden)."""
    names, rows = _names(config), unused_rows(config)
    renamed = {names[name]: values for name, values in weights.items()}
    renamed[POSITIONS] = np.pad(renamed[POSITIONS], ((rows, 0), (0, 0)))
    return renamed | {VERSION: np.array([3.0], np.float32)}


def to_hugging_face(config: dict, weights: Weights) -> Weights:
    """Rename fairseq's weights of an encoder to AutoModel's; the inverse of `to_fairseq`, exactly."""
    names = {new: name for name, new in _names(config).items()}
    renamed = {names[name]: values for name, values in weights.items() if name in names}
    renamed["embeddings.position_embeddings.weight"] = weights[POSITIONS][unused_rows(config) :]
    return renamed


def _names(config: dict) -> dict[str, str]:
    """Return all names: Hugging Face -> fairseq."""
    modules = dict(EMBEDDINGS)
    for layer in range(config["num_hidden_layers"]):
        modules |= {f"encoder.layer.{layer}.{name}": f"layers.{layer}.{new}" for name, new in LAYER.items()}
    return {f"{name}.{kind}": f"{new}.{kind}" for name, new in modules.items() for kind in ("weight", "bias")}
