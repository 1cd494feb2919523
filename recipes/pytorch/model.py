"""The classifier of the recipes on PyTorch and transformers: built, saved, loaded, and asked to predict."""

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import AutoConfig, AutoModel, PreTrainedModel

from recipes import weights
from recipes.contract.job import Batch, Dropout, Job, Predict
from recipes.pytorch.batches import pad


class Classifier(nn.Module):
    """Encoder -> one vector a text (masked mean, or the first token) -> dropout -> linear."""

    def __init__(self, encoder: nn.Module, pooling: str, dropout: float, labels: int):
        super().__init__()
        self.encoder, self.pooling = encoder, pooling
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(encoder.config.hidden_size, labels)

    def forward(self, input_ids, attention_mask):
        """Token ids and mask (rows, tokens) -> logits (rows, labels), float32."""
        hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        if self.pooling == "cls":
            pooled = hidden[:, 0]
        else:
            mask = attention_mask.unsqueeze(-1).to(hidden.dtype)
            pooled = (hidden * mask).sum(1) / mask.sum(1)
        return self.head(self.dropout(pooled)).float()


def build(job: Job) -> Classifier:
    """Return the job's encoder with a new head, on the CPU."""
    encoder = encoder_of(job.weights, job.dropout)
    model = Classifier(encoder, job.pooling, job.dropout.hidden, job.outputs)
    job.event("model", parameters=sum(p.numel() for p in model.parameters()))
    return model


def encoder_of(folder: Path, dropout: Dropout) -> PreTrainedModel:
    """Load an encoder in fp32, without the pooler that some architectures have: the head is ours.

    Whoever made the folder, it holds settings and safetensors, and runs no code of its own.
    """
    config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    for name, kind in weights.DROPOUT_NAMES.items():
        if hasattr(config, name):
            setattr(config, name, getattr(dropout, kind))
    encoder = AutoModel.from_pretrained(
        folder, config=config, dtype=torch.float32, trust_remote_code=False, use_safetensors=True
    )
    encoder.pooler = None
    return encoder


def save(model: Classifier, job: Job) -> None:
    """Write a Hugging Face folder with the encoder, its tokenizer and the labels, and the head beside it."""
    model.encoder.save_pretrained(job.model)
    save_file(model.head.state_dict(), job.model / "head.safetensors")
    weights.complete(job)


def load(job: Job) -> Predict:
    """Return the function that predicts, from the saved model alone."""
    return predictor(saved(job).to("cuda" if torch.cuda.is_available() else "cpu"), job)


def saved(job: Job) -> Classifier:
    """Return the classifier in the Hugging Face folder that a recipe has left, on the CPU."""
    encoder = encoder_of(job.model, Dropout())
    model = Classifier(encoder, encoder.config.pooling, 0.0, len(encoder.config.id2label))
    model.head.load_state_dict(load_file(job.model / "head.safetensors"))
    return model


def predictor(model: Classifier, job: Job) -> Predict:
    """Return the function that predicts with `model` where it is."""
    model.eval()
    device = next(model.parameters()).device

    @torch.inference_mode()
    def predict(batch: Batch) -> np.ndarray:
        inputs = pad(batch.token_ids, model.encoder.config.pad_token_id)
        with torch.autocast(device.type, torch.bfloat16, enabled=job.precision == "bf16"):
            logits = model(**{name: value.to(device) for name, value in inputs.items()})
        return logits.cpu().numpy()

    return predict
