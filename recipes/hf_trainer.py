"""Hugging Face transformers, the Trainer: it owns the loop, you give it a model, arguments and data."""

import shutil
from functools import partial
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import AutoModel, PreTrainedModel, Trainer, TrainerCallback, TrainingArguments, set_seed

from recipes.job import Batch, Job, Predict, Split


class Classifier(nn.Module):
    """Encoder -> one vector a text (masked mean, or the first token) -> dropout -> linear."""

    def __init__(self, encoder: nn.Module, pooling: str, dropout: float, labels: int):
        super().__init__()
        self.encoder, self.pooling = encoder, pooling
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(encoder.config.hidden_size, labels)

    def forward(self, input_ids, attention_mask, labels=None):
        hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        if self.pooling == "cls":
            pooled = hidden[:, 0]
        else:
            mask = attention_mask.unsqueeze(-1).to(hidden.dtype)
            pooled = (hidden * mask).sum(1) / mask.sum(1)
        logits = self.head(self.dropout(pooled)).float()
        if labels is None:
            return {"logits": logits}
        return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}


class TokenIds(torch.utils.data.Dataset):
    """The rows of a split as the Trainer wants them."""

    def __init__(self, split: Split):
        self.split = split

    def __len__(self):
        return len(self.split)

    def __getitem__(self, row):
        return {"input_ids": self.split.token_ids[row], "label": int(self.split.labels[row])}


def collate(rows, pad: int):
    """Pad to the longest row of the batch."""
    ids = [torch.tensor(np.asarray(row["input_ids"]), dtype=torch.long) for row in rows]
    mask = [torch.ones_like(row) for row in ids]
    batch = {
        "input_ids": nn.utils.rnn.pad_sequence(ids, batch_first=True, padding_value=pad),
        "attention_mask": nn.utils.rnn.pad_sequence(mask, batch_first=True),
    }
    if "label" in rows[0]:
        batch["labels"] = torch.tensor([row["label"] for row in rows])
    return batch


class Report(TrainerCallback):
    """Hand the Trainer's logs on as the job's progress events."""

    def __init__(self, job: Job):
        self.job = job

    def on_log(self, args, state, control, logs=None, **kwargs):
        if "loss" in logs:
            values = {name: logs.get(name) for name in ("loss", "learning_rate", "grad_norm")}
            self.job.step(state.global_step, state.max_steps, **values)

    def on_train_end(self, args, state, control, **kwargs):
        self.job.step(state.global_step, state.max_steps)


def finetune(job: Job) -> Predict:
    set_seed(job.seed)
    settings = job.settings
    with job.phase("load_weights"):
        encoder = encoder_of(job.weights)
        model = Classifier(encoder, job.pooling, settings["head_dropout"], len(job.labels))
        encoder.get_input_embeddings().requires_grad_(not settings["freeze_word_embeddings"])
    job.event("model", parameters=sum(p.numel() for p in model.parameters()))
    with job.phase("build_data"):
        train = TokenIds(job.split("train"))
        groups = [
            {"params": list(model.encoder.parameters()), "lr": settings["learning_rate"]},
            {"params": list(model.head.parameters()), "lr": settings["head_learning_rate"]},
        ]
        optimizer = torch.optim.AdamW(groups, weight_decay=settings["weight_decay"], fused=True)
        arguments = TrainingArguments(
            output_dir=str(job.model),
            num_train_epochs=job.train["epochs"],
            per_device_train_batch_size=job.train["batch_size"],
            train_sampling_strategy="group_by_length",
            warmup_steps=settings["warmup"],
            max_grad_norm=settings["max_grad_norm"],
            bf16=job.precision == "bf16",
            seed=job.seed,
            use_cpu=not torch.cuda.is_available(),
            dataloader_pin_memory=torch.cuda.is_available(),
            remove_unused_columns=False,
            logging_steps=10,
            logging_first_step=True,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        )
        trainer = Trainer(
            model,
            arguments,
            train_dataset=train,
            data_collator=partial(collate, pad=encoder.config.pad_token_id),
            optimizers=(optimizer, None),  # the Trainer adds its own linear schedule
            callbacks=[Report(job)],
        )
    with job.phase("train"):
        trainer.train()
    with job.phase("save"):
        save(model, job)
    return predictor(model, job)


def encoder_of(folder: Path) -> PreTrainedModel:
    """Load an encoder in fp32, without the pooler that some architectures have: the head is ours."""
    encoder = AutoModel.from_pretrained(folder, dtype=torch.float32)
    encoder.pooler = None
    return encoder


def save(model: Classifier, job: Job) -> None:
    """Write a Hugging Face folder with the encoder, its tokenizer and the labels, and the head beside it."""
    config = model.encoder.config
    config.id2label = dict(enumerate(job.labels))
    config.label2id = {label: number for number, label in enumerate(job.labels)}
    config.pooling = model.pooling
    model.encoder.save_pretrained(job.model)
    save_file(model.head.state_dict(), job.model / "head.safetensors")
    for file in job.weights.glob("*token*.json"):
        shutil.copy(file, job.model)


def load(job: Job) -> Predict:
    encoder = encoder_of(job.model)
    model = Classifier(encoder, encoder.config.pooling, 0.0, len(encoder.config.id2label))
    model.head.load_state_dict(load_file(job.model / "head.safetensors"))
    return predictor(model.to("cuda" if torch.cuda.is_available() else "cpu"), job)


def predictor(model: Classifier, job: Job) -> Predict:
    model.eval()
    device = next(model.parameters()).device

    @torch.inference_mode()
    def predict(batch: Batch) -> np.ndarray:
        inputs = collate([{"input_ids": ids} for ids in batch.token_ids], model.encoder.config.pad_token_id)
        with torch.autocast(device.type, torch.bfloat16, enabled=job.precision == "bf16"):
            logits = model(**{name: value.to(device) for name, value in inputs.items()})["logits"]
        return logits.cpu().numpy()

    return predict
