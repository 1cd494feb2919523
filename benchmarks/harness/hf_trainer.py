"""The training of recipes/hf_trainer/recipe.py as a plain script: no events, no phases, nobody who watches.

scripts/benchmark.py calls it in the environment of hf_trainer, with the job.json of a run and a file for the logits; it
prints the seconds.
"""

import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModel, Trainer, TrainingArguments, set_seed

job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
settings = job["settings"]


def rows_of(split):
    values = np.fromfile(Path(split["tokens"]) / "token_ids.values.bin", np.int32)
    offsets = np.fromfile(Path(split["tokens"]) / "token_ids.offsets.bin", np.int64)
    labels = np.fromfile(Path(split["data"]) / "labels.bin", np.int32)
    return [
        {"input_ids": torch.tensor(values[start:end], dtype=torch.long), "labels": int(label)}
        for start, end, label in zip(offsets[:-1], offsets[1:], labels, strict=True)
    ]


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = AutoModel.from_pretrained(job["weights"], dtype=torch.float32)
        self.encoder.pooler = None
        self.dropout = torch.nn.Dropout(job["dropout"]["hidden"])
        self.head = torch.nn.Linear(self.encoder.config.hidden_size, len(job["labels"]))

    def forward(self, input_ids, attention_mask, labels):
        hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        mask = attention_mask.unsqueeze(-1).to(hidden.dtype)
        logits = self.head(self.dropout((hidden * mask).sum(1) / mask.sum(1))).float()
        return {"loss": torch.nn.functional.cross_entropy(logits, labels), "logits": logits}


def collate(batch):
    ids = [row["input_ids"] for row in batch]
    mask = torch.nn.utils.rnn.pad_sequence([torch.ones_like(row) for row in ids], batch_first=True)
    padded = torch.nn.utils.rnn.pad_sequence(ids, batch_first=True)
    return {"input_ids": padded, "attention_mask": mask, "labels": torch.tensor([row["labels"] for row in batch])}


set_seed(job["seed"])
model = Model()
model.encoder.get_input_embeddings().requires_grad_(not settings["freeze_word_embeddings"])
groups = [
    {"params": list(model.encoder.parameters()), "lr": settings["learning_rate"]},
    {"params": list(model.head.parameters()), "lr": settings["head_learning_rate"]},
]
with tempfile.TemporaryDirectory() as folder:
    arguments = TrainingArguments(
        output_dir=folder,
        num_train_epochs=job["train"]["epochs"],
        per_device_train_batch_size=job["train"]["batch_size"],
        train_sampling_strategy="group_by_length",
        warmup_steps=settings["warmup"],
        max_grad_norm=settings["max_grad_norm"],
        bf16=job["precision"] == "bf16",
        seed=job["seed"],
        use_cpu=not torch.cuda.is_available(),
        dataloader_pin_memory=torch.cuda.is_available(),
        remove_unused_columns=False,
        logging_steps=10,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )
    optimizer = torch.optim.AdamW(groups, weight_decay=settings["weight_decay"], fused=True)
    trainer = Trainer(
        model,
        arguments,
        train_dataset=rows_of(job["splits"]["train"]),
        data_collator=collate,
        optimizers=(optimizer, None),
    )
    start = time.perf_counter()
    trainer.train()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    seconds = time.perf_counter() - start
    arguments.train_sampling_strategy = "sequential"  # else the rows to predict are grouped by length too
    logits = trainer.predict(rows_of(job["splits"]["test"])).predictions
np.savez(sys.argv[2], logits=logits)
print(seconds)
