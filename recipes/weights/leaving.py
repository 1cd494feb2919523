"""An encoder that was trained elsewhere, by its library's names -> a Hugging Face folder; numpy only.

A library's room reads its checkpoints in leaving.py, and says there what the library calls the tensors: a table from
Hugging Face's names, in which `{layer}` stands for a layer's number. What the arrays do not show (the number of heads,
the activation) comes from the checkpoint where it says so, from a config.json, or from who converts.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from recipes.weights import Weights
from recipes.weights.bert import DENSE, FIRST_POSITION, NORMS, TABLES

WORDS, POSITIONS, SEGMENTS = TABLES
NETWORK = "encoder.layer.{layer}.intermediate.dense.weight"
POOLER = ("pooler.dense.weight", "pooler.dense.bias")
HEADS = {  # of transformers' …ForSequenceClassification, by the model's kind
    "bert": (*POOLER, "classifier.weight", "classifier.bias"),
    "roberta": tuple(f"classifier.{part}.{end}" for part in ("dense", "out_proj") for end in ("weight", "bias")),
}
CLASSES = {"bert": "Bert", "roberta": "Roberta", "camembert": "Camembert", "xlm-roberta": "XLMRoberta"}
DEFAULTS: dict[str, dict[str, Any]] = {  # of BERT (Devlin et al. 2018) and RoBERTa (Liu et al. 2019)
    "bert": {"layer_norm_eps": 1e-12, "pad_token_id": 0},
    "roberta": {"layer_norm_eps": 1e-5, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2},
}


@dataclass(frozen=True)
class Checkpoint:
    """What was read. `table`: Hugging Face's names -> the library's, below a prefix that is the same for all.

    `transposed`: kernels are (in, out). `said`: what the checkpoint tells of config.json. `apart`: how the names begin
    that lie beside the encoder and are no part of it. `from_zero`: a position table without RoBERTa's unused rows.
    `exact`: the table's names are whole, so that other names may stand anywhere.
    """

    arrays: Weights
    table: Mapping[str, str]
    transposed: bool = False
    said: Mapping[str, Any] = field(default_factory=dict)
    apart: tuple[str, ...] = ()
    from_zero: bool = False
    exact: bool = False


@dataclass(frozen=True)
class Converted:
    """What makes a Hugging Face folder, and the names of what was in the checkpoint and is not in it."""

    config: dict[str, Any]
    weights: Weights
    left_out: list[str]


def tensors(ends: Mapping[str, Mapping[str, str]], names: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Return a table of tensors from tables of modules (tables, norms, dense), as recipes/weights/bert.py has them.

    `ends`: for `table`, `norm` and `dense`, how Hugging Face's names end, and how the library's do.
    """
    kinds = zip(("table", "norm", "dense"), names, strict=True)
    return {
        theirs + end: ours + own
        for kind, modules in kinds
        for theirs, ours in modules.items()
        for end, own in ends[kind].items()
    }


def needed() -> list[str]:
    """Return Hugging Face's names of an encoder's tensors."""
    both = [name + end for name in (*NORMS, *DENSE) for end in (".weight", ".bias")]
    return [WORDS, POSITIONS, *both]


def convert(found: Checkpoint, like: Mapping[str, Any] | None, told: Mapping[str, Any]) -> Converted:
    """Return the files of the Hugging Face folder; ValueError says what is not as it should be.

    `like`: the config.json of a model of the same architecture. `told`: what stands over it, and over the checkpoint.
    """
    prefix = "" if found.exact else prefix_of(found)
    layers = count(found, prefix)
    weights, used = named(found, prefix, layers)
    strangers = sorted(
        name for name in found.arrays.keys() - used if name.startswith(prefix) and not name.startswith(found.apart)
    )
    if strangers and not found.exact:
        raise ValueError(
            f"this is not BERT's encoder alone: what are {shown(strangers)}?\n"
            "Other architectures than BERT and RoBERTa have no map here."
        )
    kind = kind_of(found, like)
    complete(found, weights, kind, like)
    left_out = sorted(found.arrays.keys() - used)
    head = [name for name in weights if name.startswith("classifier.")]
    if head and not weights.keys() >= {*HEADS[family(kind)]}:  # transformers has no such head
        left_out += [found.table[name] for name in head]
        weights = {name: values for name, values in weights.items() if name not in head}
    config = config_of(weights, kind, layers, {**found.said, **told}, like)
    if any(name.startswith("classifier.") for name in weights):
        below = family(kind) + "."
        weights = {name if name.startswith("classifier.") else below + name: one for name, one in weights.items()}
    return Converted(config, weights, left_out)


def prefix_of(found: Checkpoint) -> str:
    """Return what stands before the table's names in the checkpoint."""
    words = found.table[WORDS]
    ends = [name for name in found.arrays if name == words or name.endswith((f".{words}", f"/{words}"))]
    if not ends:
        raise ValueError(
            f"no tensor is called …{words}. There are {shown(sorted(found.arrays))}.\n"
            "Names of one's own are told by --names FILE: docs/leaving.md has an example."
        )
    if len(ends) > 1:
        raise ValueError(f"there are several encoders: {shown(sorted(ends))}. Save the one that is wanted alone.")
    return ends[0].removesuffix(words)


def count(found: Checkpoint, prefix: str) -> int:
    """Return the number of layers."""
    layers = 0
    while prefix + found.table[NETWORK].format(layer=layers) in found.arrays:
        layers += 1
    if not layers:
        raise ValueError(f"no tensor is called {prefix + found.table[NETWORK].format(layer=0)}.")
    return layers


def named(found: Checkpoint, prefix: str, layers: int) -> tuple[Weights, set[str]]:
    """Return the tensors by Hugging Face's names, in float32 and its order of axes, and which were used."""
    weights: Weights = {}
    used, missing, must = set(), [], {*needed()}
    for template, own in found.table.items():
        for layer in range(layers if "{layer}" in template else 1):
            there, ours = template.format(layer=layer), own.format(layer=layer)
            ours = prefix + ours if prefix + ours in found.arrays else ours  # a head stands beside the encoder
            if ours in found.arrays:
                kernel = there.endswith(".weight") and "embeddings" not in there and found.arrays[ours].ndim == 2
                values = found.arrays[ours].T if kernel and found.transposed else found.arrays[ours]
                weights[there] = np.ascontiguousarray(values, np.float32)
                used.add(ours)
            elif template in must:
                missing.append(prefix + ours)
    if missing:
        raise ValueError(f"missing are {shown(missing)}.")
    return weights, used


def complete(found: Checkpoint, weights: Weights, kind: str, like: Mapping[str, Any] | None) -> None:
    """Add what Hugging Face's layers have and the checkpoint may do without: it changes no hidden state."""
    words, positions = weights[WORDS], weights[POSITIONS]
    weights.setdefault(SEGMENTS, np.zeros((1, words.shape[1]), np.float32))
    first = FIRST_POSITION[kind]
    if found.from_zero or (like and len(positions) == like.get("max_position_embeddings", 0) - first):
        weights[POSITIONS] = np.concatenate([np.zeros((first, positions.shape[1]), np.float32), positions])


def kind_of(found: Checkpoint, like: Mapping[str, Any] | None) -> str:
    """Return config.json's model_type."""
    own = found.said.get("model_type")
    asked = (like or {}).get("model_type", own or "bert")
    if asked not in FIRST_POSITION:
        raise ValueError(f"model_type {asked}: there are maps for {', '.join(FIRST_POSITION)}.")
    if own and family(asked) != family(own):
        raise ValueError(f"the checkpoint is of {own}, and the config.json beside it says {asked}.")
    return asked


def family(kind: str) -> str:
    """Return whose layers a model has: CamemBERT and XLM-R have RoBERTa's."""
    return "bert" if kind == "bert" else "roberta"


def config_of(
    weights: Weights, kind: str, layers: int, said: Mapping[str, Any], like: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return config.json: sizes from the arrays, the rest as the checkpoint says, or the other config.json, or BERT."""
    sizes = {
        "vocab_size": len(weights[WORDS]),
        "hidden_size": weights[WORDS].shape[1],
        "num_hidden_layers": layers,
        "intermediate_size": len(weights[NETWORK.format(layer=0)]),
        "max_position_embeddings": len(weights[POSITIONS]),
        "type_vocab_size": len(weights[SEGMENTS]),
    }
    for key, value in sizes.items():
        if like and like.get(key, value) != value:
            raise ValueError(f"{key} is {value} in the checkpoint and {like[key]} in the config.json beside it.")
    usual = {"hidden_act": "gelu", "hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1}
    usual |= {"initializer_range": 0.02, **DEFAULTS[family(kind)]}
    config = {**usual, **(like or {}), **said, **sizes, "model_type": kind}
    heads = config.get("num_attention_heads")
    if not heads:
        raise ValueError(
            "the arrays do not show how many heads its attention has: --heads N says so (12 in BERT base, 16 in large)."
        )
    if sizes["hidden_size"] % heads:
        raise ValueError(f"a hidden size of {sizes['hidden_size']} does not divide into {heads} heads.")
    labels = weights.get("classifier.weight", weights.get("classifier.out_proj.weight"))
    config = {key: value for key, value in config.items() if key not in ("id2label", "label2id", "architectures")}
    if labels is not None:
        config["id2label"] = {str(number): f"LABEL_{number}" for number in range(len(labels))}
        config["label2id"] = {f"LABEL_{number}": number for number in range(len(labels))}
    ending = "Model" if labels is None else "ForSequenceClassification"
    return {"architectures": [CLASSES[kind] + ending], **config, "dtype": "float32"}


def write(made: Converted, folder: Path) -> None:
    """Write config.json and model.safetensors."""
    from safetensors.numpy import save_file

    text = json.dumps(made.config, indent=2, ensure_ascii=False)
    (folder / "config.json").write_text(text + "\n", encoding="utf-8")
    save_file(made.weights, folder / "model.safetensors", {"format": "pt"})


def shown(names: list[str], most: int = 6) -> str:
    """Return the first names of many, for a message."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
