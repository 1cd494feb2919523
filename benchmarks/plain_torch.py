"""A bare PyTorch loop: no accelerate, no events, no phases, nobody who watches. What a recipe's speed is measured by.

scripts/benchmark.py calls it in the environment of hf_trainer, with the job.json of a run and a file for the logits; it
trains with the job's batches (controlled) or with batches of like length, and prints the seconds.
"""

import contextlib
import math
import sys
import time
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModel

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from recipes.contract import frameworks
from recipes.contract.job import Job
from recipes.contract.schedule import linear
from recipes.contract.split import order_of_like_length

job = Job.read(Path(sys.argv[1]))
settings, split, size = job.settings, job.split("train"), job.train.batch_size
device = "cuda" if torch.cuda.is_available() else "cpu"
torch.manual_seed(job.seed)
frameworks.allow_tf32(job.precision == "tf32")


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        rates = {"hidden_dropout_prob": job.dropout.hidden, "attention_probs_dropout_prob": job.dropout.attention}
        self.encoder = AutoModel.from_pretrained(job.weights, dtype=torch.float32, add_pooling_layer=False, **rates)
        self.dropout = torch.nn.Dropout(job.dropout.hidden)
        self.head = torch.nn.Linear(self.encoder.config.hidden_size, len(job.labels))

    def forward(self, ids, mask):
        hidden = self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        weight = mask.unsqueeze(-1).to(hidden.dtype)
        pooled = hidden[:, 0] if job.pooling == "cls" else (hidden * weight).sum(1) / weight.sum(1)
        return self.head(self.dropout(pooled)).float()


def padded(rows):
    ids = [torch.tensor(row, dtype=torch.long) for row in rows]
    mask = torch.nn.utils.rnn.pad_sequence([torch.ones_like(row) for row in ids], batch_first=True)
    value = model.encoder.config.pad_token_id
    return torch.nn.utils.rnn.pad_sequence(ids, True, value).to(device), mask.to(device)


def batches(epoch):
    if job.controlled:
        return job.batches(job.order(epoch))
    order = order_of_like_length(split.lengths, size, np.random.default_rng([job.seed, epoch]))
    return [order[start : start + size] for start in range(0, len(order), size)]


def autocast():
    return torch.autocast(device, torch.bfloat16) if job.precision == "bf16" else contextlib.nullcontext()


model = Model().to(device).train()
model.encoder.get_input_embeddings().requires_grad_(not settings.get("freeze_word_embeddings", False))
optimizer = torch.optim.AdamW(model.parameters(), settings["learning_rate"], fused=True)
steps = job.train.epochs * math.ceil(len(split) / size)
schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, linear(job, steps))
frameworks.wait()
start = time.perf_counter()
for epoch in range(job.train.epochs):
    for rows in batches(epoch):
        with autocast():
            logits = model(*padded(split.batch(rows).token_ids))
        labels = torch.tensor(split.labels[rows], dtype=torch.long, device=device)
        torch.nn.functional.cross_entropy(logits, labels).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
frameworks.wait()  # a GPU works on while the loop has ended
seconds = time.perf_counter() - start

model.eval()
test = job.split("test")
with torch.inference_mode(), autocast():
    chunks = [range(at, min(at + 64, len(test))) for at in range(0, len(test), 64)]
    logits = np.concatenate([model(*padded(test.batch(rows).token_ids)).cpu().numpy() for rows in chunks])
np.savez(sys.argv[2], logits=logits)
print(seconds)
