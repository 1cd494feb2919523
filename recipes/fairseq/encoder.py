"""A Hugging Face encoder as fairseq's model: its architecture as words of the command line, and its weights."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from fairseq.data import data_utils

from recipes import weights
from recipes.contract.job import Batch, Job, Predict
from recipes.contract.split import rows_of
from recipes.fairseq.weights import padding, to_fairseq, to_hugging_face, unused_rows, unused_values
from recipes.weights import Head, Weights

__all__ = ["HEAD", "architecture", "build", "padded", "predictor", "save", "set_head", "unused_values"]

HEAD = "job"  # a fairseq model has heads by name


def architecture(config: Mapping[str, Any], encoder: Weights) -> dict[str, int | float]:
    """Return what the encoder is, by options of our task and model."""
    pad = padding(config)
    positions, width = encoder["embeddings.position_embeddings.weight"].shape
    usable = positions + unused_rows(config) - pad - 1
    return {
        "pad": pad,
        "vocabulary": len(encoder["embeddings.word_embeddings.weight"]),
        "segments": len(encoder["embeddings.token_type_embeddings.weight"]),
        "max-positions": usable,
        "max-source-positions": usable,
        "encoder-embed-dim": width,
        "encoder-layers": config["num_hidden_layers"],
        "encoder-ffn-embed-dim": config["intermediate_size"],
        "encoder-attention-heads": config["num_attention_heads"],
        "layer-norm-eps": config.get("layer_norm_eps", 1e-12),
    }


def build(task, cfg, config: Mapping[str, Any], encoder: Weights):
    """Return the model on the CPU, in fp32: the given encoder, and a new head."""
    model = task.build_model(cfg.model)
    named = to_fairseq(config, encoder)
    model.encoder.load_state_dict({name: torch.from_numpy(values) for name, values in named.items()})
    return model


def set_head(model, head: Head):
    """Give the model a head, and return it."""
    weight, bias = map(torch.from_numpy, head)
    model.classification_heads[HEAD].out_proj.load_state_dict({"weight": weight, "bias": bias})
    return model


def save(job: Job, model, config: Mapping[str, Any]) -> None:
    """Save the model as a Hugging Face folder."""
    encoder, head = arrays(model.encoder), arrays(model.classification_heads[HEAD].out_proj)
    weights.write(job, to_hugging_face(config, encoder), head)


def arrays(module: torch.nn.Module) -> Weights:
    """Return a module's weights, float32."""
    return {name: values.float().cpu().numpy() for name, values in module.state_dict().items()}


def predictor(model, task) -> Predict:
    """Return the function that predicts with `model` where it is."""
    model.eval()

    @torch.inference_mode()
    def predict(batch: Batch) -> np.ndarray | list[np.ndarray]:
        tokens = padded(batch, task).to(model.encoder.embed_tokens.weight.device)
        logits, _ = model(tokens, HEAD)
        return rows_of(logits.float().cpu().numpy(), batch)

    return predict


def padded(batch: Batch, task) -> torch.Tensor:
    """Pad token ids to the longest row: (rows, tokens)."""
    rows = [torch.tensor(ids, dtype=torch.long) for ids in batch.token_ids]
    return data_utils.collate_tokens(rows, task.source_dictionary.pad())
