"""The classifier of the recipes on PyTorch and transformers: built, saved, loaded, and asked to predict."""

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import AutoConfig, AutoModel, PreTrainedModel

from recipes import weights
from recipes.contract.job import Batch, Dropout, Job, Predict
from recipes.contract.split import rows_of
from recipes.pytorch import packing
from recipes.pytorch.batches import pad
from recipes.pytorch.precision import HALF

# Attention that takes a mask (rows, 1, tokens, tokens) as it is; to make it, transformers looks whether any is padding,
# and so waits for the device at each step.
MASKED = ("sdpa", packing.ATTENTION)


class Classifier(nn.Module):
    """Encoder -> one vector a text (masked mean, or the first token), or a token's own -> dropout -> linear."""

    def __init__(self, encoder: nn.Module, job: Job, dropout: float):
        super().__init__()
        self.encoder, self.pooling = encoder, job.pooling
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(encoder.config.hidden_size, job.outputs)

    def forward(self, input_ids, attention_mask=None, **texts):
        """Token ids and mask (rows, tokens) -> logits, float32: (rows, labels), or (rows, tokens, tags).

        Or of a packed batch, with its other fields, by name: see packing.py.
        """
        shown = attention_mask
        if attention_mask is not None and attention_mask.is_cuda and self.encoder.config._attn_implementation in MASKED:
            shown = attention_mask[:, None, None].bool().expand(-1, 1, input_ids.shape[1], -1)
        hidden = self.encoder(input_ids=input_ids, attention_mask=shown, **texts).last_hidden_state
        if self.pooling is None:
            pooled = hidden
        elif attention_mask is None:
            pooled = packing.pooled(hidden, self.pooling, texts["seq_idx"], texts["cu_seq_lens_q"])
        elif self.pooling == "cls":
            pooled = hidden[:, 0]
        else:
            mask = attention_mask.unsqueeze(-1).to(hidden.dtype)
            pooled = (hidden * mask).sum(1) / mask.sum(1)
        return self.head(self.dropout(pooled)).float()


def build(job: Job) -> Classifier:
    """Return the job's encoder with a new head, on the CPU."""
    encoder = encoder_of(job.weights, job.dropout, job.packed)
    model = Classifier(encoder, job, job.dropout.hidden)
    job.event("model", parameters=sum(p.numel() for p in model.parameters()))
    return model


def encoder_of(folder: Path, dropout: Dropout, packed: bool = False) -> PreTrainedModel:
    """Load an encoder in fp32, without the pooler that some architectures have: the head is ours.

    Whoever made the folder, it holds settings and safetensors, and runs no code of its own.
    """
    torch.backends.cuda.enable_cudnn_sdp(False)  # attention that plans anew for each length that it has not met
    config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    if packed:
        packing.can_be_packed(config.model_type)
    for name, kind in weights.DROPOUT_NAMES.items():
        if hasattr(config, name):
            setattr(config, name, getattr(dropout, kind))
    encoder = AutoModel.from_pretrained(
        folder, config=config, dtype=torch.float32, trust_remote_code=False, use_safetensors=True,
        attn_implementation=packing.ATTENTION if packed else None,
    )  # fmt: skip
    if hasattr(encoder, "pooler"):
        del encoder.pooler  # the module; what accelerate compiles by layers is a copy without modules that are None
    encoder.pooler = None
    return encoder


def save(model: Classifier, job: Job) -> None:
    """Write a Hugging Face folder with the encoder, its tokenizer and the labels, and the head beside it."""
    pooler = {name: torch.from_numpy(values) for name, values in weights.pooler(job.weights).items()}
    model.encoder.save_pretrained(job.model, state_dict=model.encoder.state_dict() | pooler)
    save_file(model.head.state_dict(), job.model / "head.safetensors")
    weights.complete(job)


def load(job: Job) -> Predict:
    """Return the function that predicts, from the saved model alone."""
    return predictor(saved(job).to("cuda" if torch.cuda.is_available() else "cpu"), job)


def saved(job: Job) -> Classifier:
    """Return the classifier in the Hugging Face folder that a recipe has left, on the CPU."""
    model = Classifier(encoder_of(job.model, Dropout()), job, 0.0)
    model.head.load_state_dict(load_file(job.model / "head.safetensors"))
    return model


def predictor(model: Classifier, job: Job) -> Predict:
    """Return the function that predicts with `model` where it is."""
    model.eval()
    device = next(model.parameters()).device

    @torch.inference_mode()
    def predict(batch: Batch) -> np.ndarray | list[np.ndarray]:
        inputs = pad(batch.token_ids, model.encoder.config.pad_token_id)
        with torch.autocast(device.type, HALF.get(job.precision), enabled=job.precision in HALF):
            logits = model(**{name: value.to(device) for name, value in inputs.items()})
        return rows_of(logits.cpu().numpy(), batch)

    return predict
