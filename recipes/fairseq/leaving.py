"""Checkpoints of fairseq's RoBERTa, XLM-R and CamemBERT, as fairseq-train writes them, for scripts/convert.py."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy._core import multiarray

from recipes.fairseq.weights import EMBEDDINGS, MODULES
from recipes.weights import Weights
from recipes.weights.leaving import HEADS, POSITIONS, Checkpoint

OLD = {  # names of before 2021 -> today's, as fairseq's own RobertaModel.upgrade_state_dict_named has them
    "decoder.": "encoder.",
    ".emb_layer_norm.": ".layernorm_embedding.",
    ".segment_embeddings.": ".embed_segments.",
}
ACTIVATIONS = {"gelu": "gelu", "gelu_accurate": "gelu_new", "gelu_fast": "gelu_new", "relu": "relu"}
DROPOUTS = {"dropout": "hidden_dropout_prob", "attention_dropout": "attention_probs_dropout_prob"}
OBJECTS = [argparse.Namespace, np.dtype, np.ndarray, multiarray.scalar, multiarray._reconstruct]
OBJECTS += [type(np.dtype(kind)) for kind in ("float64", "float32", "int64", "bool")]  # of numpy's scalars


def read(path: Path) -> Checkpoint:
    """Return what a file of torch.save holds, which runs no code of its own: `weights_only`, and plain numbers."""
    torch.serialization.add_safe_globals(OBJECTS)
    state = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(state, dict) or "model" not in state:
        raise ValueError("this is no checkpoint of fairseq-train: it has no `model`.")
    arrays = today({name: values.float().numpy() for name, values in state["model"].items()})
    return Checkpoint(arrays, table(arrays), said=told(settings(state)), apart=("encoder.sentence_encoder.version",))


def today(arrays: Weights) -> Weights:
    """Return the arrays by today's names; query, key and value of before 2019 were one."""
    found: Weights = {}
    for name, values in arrays.items():
        for old, new in OLD.items():
            name = new + name.removeprefix(old) if name.startswith(old) else name.replace(old, new)
        if ".in_proj_" in name:
            for part, share in zip("qkv", np.split(values, 3), strict=True):
                found[name.replace("in_proj_", f"{part}_proj.")] = share
        elif not name.endswith(("._float_tensor", ".version")):  # buffers that hold nothing
            found[name] = values
    return found


def table(arrays: Weights) -> dict[str, str]:
    """Return the names of the encoder, and of the classification head where there is one."""
    found = {theirs + end: ours + end for theirs, ours in MODULES.items() for end in (".weight", ".bias")}
    found |= EMBEDDINGS | {POSITIONS: "embed_positions.weight"}
    heads = {name.split(".")[1] for name in arrays if name.startswith("classification_heads.")}
    if len(heads) == 1:
        ours = f"classification_heads.{heads.pop()}."
        found |= {name: ours + name.removeprefix("classifier.") for name in HEADS["roberta"]}
    return found


def settings(state: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return how the model was made: `args` until 2020, `cfg` after."""
    model = (state.get("cfg") or {}).get("model") or state.get("args") or {}
    return vars(model) if isinstance(model, argparse.Namespace) else model


def told(model: Mapping[str, Any]) -> dict[str, Any]:
    """Return what that is in config.json's words; refuse what is not RoBERTa's arithmetic."""
    activation = model.get("activation_fn", "gelu")
    if activation not in ACTIVATIONS or model.get("pooler_activation_fn", "tanh") != "tanh":
        raise ValueError(f"its activations {activation} and {model.get('pooler_activation_fn')} are not RoBERTa's.")
    if model.get("encoder_normalize_before") or model.get("spectral_norm_classification_head"):
        raise ValueError("it normalises before its layers (or its head by its spectrum), and RoBERTa does not.")
    found: dict[str, Any] = {"model_type": "roberta", "hidden_act": ACTIVATIONS[activation]}
    found |= {name: float(model[own]) for own, name in DROPOUTS.items() if own in model}
    if heads := model.get("encoder_attention_heads"):
        found["num_attention_heads"] = int(heads)
    return found
