"""The plain reference that `scripts/parity.py` holds every recipe against: PyTorch, one text at a time.

No padding, no masks, no batches, no trainer, no dropout: the formulas of the controlled protocol, written out.
"""

import math
from collections.abc import Mapping

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch.linalg import vector_norm
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, mse_loss

from recipes import weights
from recipes.contract.job import Batch, Dropout, Hidden, Job, Predict
from recipes.contract.schedule import warmup_steps
from recipes.contract.tasks import IGNORED, TASKS, Task
from recipes.pytorch.model import encoder_of

NO_DROPOUT = Dropout()
TAGGING = TASKS["tagging"]
LOSSES = {  # what is differentiated; the losses reported are the task's own, in numpy
    "classification": lambda logits, labels: cross_entropy(logits, labels.long()),
    "multilabel": lambda logits, labels: binary_cross_entropy_with_logits(logits, labels.float()),
    "tagging": lambda logits, labels: cross_entropy(logits, labels.long(), ignore_index=IGNORED),
    "regression": lambda outputs, labels: mse_loss(outputs[:, 0], labels),
}


def finetune(job: Job) -> Predict:
    encoder = encoder_of(job.weights, NO_DROPOUT)
    weight, bias = (torch.nn.Parameter(torch.from_numpy(values)) for values in job.head())
    train, chosen = job.split("train"), job.settings
    optimizer = adamw({**dict(encoder.named_parameters()), "weight": weight, "bias": bias}, chosen)
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    batches = [rows for epoch in range(job.train.epochs) for rows in job.steps(job.order(epoch))]
    encoder.train()
    for step, rows in enumerate(batches):
        outputs = outputs_of(encoder, weight, bias, train.batch(rows).token_ids, job.pooling, job.task)
        logits = torch.cat(outputs)
        labels = np.concatenate(
            [train.labels[row : row + 1] if job.task != TAGGING else train.labels[row] for row in rows]
        )
        LOSSES[job.task.name](logits, torch.tensor(labels)).backward()
        loss = job.task.loss(logits.detach().numpy(), labels).mean
        norm = math.sqrt(sum(float(vector_norm(p.grad, dtype=torch.double)) ** 2 for p in parameters))
        for parameter in parameters:
            parameter.grad *= min(1.0, chosen["max_grad_norm"] / (norm + 1e-6))
        for group in optimizer.param_groups:
            group["lr"] = chosen["learning_rate"] * schedule(step, len(batches), chosen["warmup"])
        optimizer.step()
        optimizer.zero_grad()
        job.step(step + 1, len(batches), loss=loss, learning_rate=group["lr"], grad_norm=norm)
    encoder.save_pretrained(job.model)
    save_file({"weight": weight.detach(), "bias": bias.detach()}, job.model / "head.safetensors")
    weights.complete(job)
    return predictor(encoder, weight, bias, job.pooling, job.task)


def adamw(named: dict[str, torch.nn.Parameter], chosen: Mapping) -> torch.optim.Optimizer:
    """Return torch's AdamW; biases and LayerNorm do not decay."""
    plain = [p for name, p in named.items() if name.endswith("bias") or "norm" in name.lower()]
    decayed = [p for name, p in named.items() if not (name.endswith("bias") or "norm" in name.lower())]
    groups = [{"params": decayed, "weight_decay": chosen["weight_decay"]}, {"params": plain, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, betas=tuple(chosen["betas"]), eps=chosen["epsilon"], foreach=False)


def schedule(step: int, steps: int, warmup: float) -> float:
    """Return the share of the learning rate at a step counted from 0: up from 0, then down, both linearly."""
    rising = warmup_steps(warmup, steps)
    return step / rising if step < rising else (steps - step) / (steps - rising)


def outputs_of(encoder, weight, bias, token_ids: list[np.ndarray], pooling: str, task: Task) -> list[torch.Tensor]:
    """Return what the head gives for each text, which pass the encoder one by one: (1, outputs), or (tokens, tags)."""
    states = [encoder(torch.tensor(ids, dtype=torch.long)[None]).last_hidden_state[0] for ids in token_ids]
    if task != TAGGING:
        states = [state.mean(0, keepdim=True) if pooling == "mean" else state[:1] for state in states]
    return [state @ weight.T + bias for state in states]


def load(job: Job) -> Predict:
    """Return the function that predicts, from the Hugging Face folder that any recipe left."""
    encoder = encoder_of(job.model, NO_DROPOUT)
    head = load_file(job.model / "head.safetensors")
    return predictor(encoder, head["weight"], head["bias"], encoder.config.pooling, job.task)


def predictor(encoder, weight, bias, pooling: str, task: Task) -> Predict:
    encoder.eval()

    @torch.inference_mode()
    def predict(batch: Batch) -> np.ndarray | list[np.ndarray]:
        outputs = outputs_of(encoder, weight, bias, batch.token_ids, pooling, task)
        return [rows.numpy() for rows in outputs] if task == TAGGING else torch.cat(outputs).numpy()

    return predict


def hidden_states(job: Job) -> Hidden:
    encoder = encoder_of(job.weights, NO_DROPOUT)

    @torch.inference_mode()
    def hidden(batch: Batch, training: bool) -> np.ndarray:
        encoder.train(training)
        states = [encoder(torch.tensor(ids, dtype=torch.long)[None]).last_hidden_state[0] for ids in batch.token_ids]
        return torch.nn.utils.rnn.pad_sequence(states, batch_first=True).numpy()

    return hidden
