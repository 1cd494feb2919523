"""Weights between Hugging Face and the libraries that name them otherwise; numpy only.

This module reads a Hugging Face folder and writes the fine-tuned one that every recipe leaves. maps.py is the engine
for names: a library's table of them stands in its room, as weights.py.
"""

import json
import shutil

import numpy as np

from recipes.contract.job import Job

Weights = dict[str, np.ndarray]
Head = tuple[np.ndarray, np.ndarray]  # weight (labels, hidden), bias (labels)

FAMILIES = {"bert": "bert", "roberta": "roberta", "camembert": "roberta", "xlm-roberta": "roberta"}  # of BERT's layers
POOLER = "pooler."  # how the names of its tensors begin
DROPOUT_NAMES = {  # in config.json -> which of the job's rates
    "hidden_dropout_prob": "hidden",
    "attention_probs_dropout_prob": "attention",
    "dropout": "hidden",  # DistilBERT
    "attention_dropout": "attention",
}


def read(folder) -> tuple[dict, Weights]:
    """Return config.json and the encoder's weights, float32, by the names that AutoModel has for them.

    A checkpoint may hold the encoder below a prefix (`bert.`, `roberta.`), with heads and a pooler beside it: those
    are left out.
    """
    from safetensors.numpy import load_file

    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    prefix = prefix_of(config)
    found = load_file(folder / "model.safetensors")
    if any(name.startswith(prefix) for name in found):
        found = {name.removeprefix(prefix): values for name, values in found.items() if name.startswith(prefix)}
    old = {".gamma": ".weight", ".beta": ".bias"}  # LayerNorm in the first BERT checkpoints
    for ending, new in old.items():
        found = {name.replace("LayerNorm" + ending, "LayerNorm" + new): values for name, values in found.items()}
    kept = {name: values for name, values in found.items() if name.startswith(("embeddings.", "encoder."))}
    return config, {name: values.astype(np.float32) for name, values in kept.items() if "position_ids" not in name}


def prefix_of(config: dict) -> str:
    """Return what stands before the encoder's names in a checkpoint that has heads beside it."""
    return FAMILIES.get(config["model_type"], config["model_type"]) + "."


def pooler(folder) -> Weights:
    """Return the pooler that AutoModel has of the model in a folder, float32; none of an architecture without one.

    Nothing here computes or trains it: the head has pooling of its own. But a file without it is told to be incomplete
    wherever it is loaded. It is that of the folder; where that has none either, one that hands the first token on.
    """
    from safetensors import safe_open

    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    prefix = prefix_of(config)
    with safe_open(folder / "model.safetensors", "np") as tensors:
        names = {name.removeprefix(prefix): name for name in tensors.keys()}  # noqa: SIM118  it is no mapping
        found = {name: tensors.get_tensor(old) for name, old in names.items() if name.startswith(POOLER)}
    if not found and config["model_type"] in FAMILIES:
        size = config["hidden_size"]
        found = {f"{POOLER}dense.weight": np.eye(size), f"{POOLER}dense.bias": np.zeros(size)}
    return {name: values.astype(np.float32) for name, values in found.items()}


def read_head(folder) -> Head:
    """Return the head beside a fine-tuned encoder, float32."""
    from safetensors.numpy import load_file

    head = load_file(folder / "head.safetensors")
    return head["weight"], head["bias"]


def write(job: Job, encoder: Weights, head: Weights) -> None:
    """Write the fine-tuned model as a Hugging Face folder: `encoder` by AutoModel's names, head's weight and bias."""
    from safetensors.numpy import save_file

    job.model.mkdir(exist_ok=True)
    shutil.copy(job.weights / "config.json", job.model)
    contiguous = {name: np.ascontiguousarray(values, np.float32) for name, values in encoder.items()}
    save_file(contiguous | pooler(job.weights), job.model / "model.safetensors", {"format": "pt"})
    save_file({name: np.ascontiguousarray(values, np.float32) for name, values in head.items()},
              job.model / "head.safetensors", {"format": "pt"})  # fmt: skip
    complete(job)


def complete(job: Job) -> None:
    """Add to the Hugging Face folder what a recipe knows: labels, pooling and dropout in its config, the tokenizer."""
    path = job.model / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config["id2label"] = {str(number): label for number, label in enumerate(job.labels)}
    config["label2id"] = {label: number for number, label in enumerate(job.labels)}
    config |= {"pooling": job.pooling, "dtype": "float32"}
    if job.task.name == "regression":  # what the head gives, times the deviation, plus the mean, is the number
        config |= dict(zip(("number_mean", "number_standard_deviation"), job.scale, strict=True))
    config |= {name: getattr(job.dropout, kind) for name, kind in DROPOUT_NAMES.items() if name in config}
    path.write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    for file in job.weights.glob("*token*.json"):
        shutil.copy(file, job.model)
