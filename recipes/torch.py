"""PyTorch with accelerate, no trainer: you write the loop, every line of it is yours.

Pick it to own the implementation, or to try what no library offers: it is the reference and the speed limit here.
"""

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader
from transformers import get_linear_schedule_with_warmup

from recipes.job import Job, Predict
from recipes.pytorch import Batches, TokenIds, build, hidden_states, load, pad, parameter_groups, predictor, save

__all__ = ["finetune", "hidden_states", "load"]


def finetune(job: Job) -> Predict:
    settings, epochs = job.settings, job.train["epochs"]
    accelerator = Accelerator(
        mixed_precision="bf16" if job.precision == "bf16" else "no", cpu=not torch.cuda.is_available()
    )
    set_seed(job.seed, device_specific=True)  # of several processes each has its own dropout
    with job.phase("load_weights"):
        model = build(job)
        model.encoder.get_input_embeddings().requires_grad_(not settings["freeze_word_embeddings"])
    with job.phase("build_data"):
        split, padding = job.split("train"), model.encoder.config.pad_token_id

        def collate(rows):
            return pad([row["input_ids"] for row in rows], padding), torch.tensor([row["label"] for row in rows])

        loader = DataLoader(TokenIds(split), batch_sampler=Batches(job, split.lengths), collate_fn=collate)
    with job.phase("train"):
        optimizer = torch.optim.AdamW(
            parameter_groups(model, settings), betas=settings["betas"], eps=settings["epsilon"], fused=True
        )
        model, optimizer, loader = accelerator.prepare(model, optimizer, loader)
        steps = epochs * len(loader)
        schedule = get_linear_schedule_with_warmup(optimizer, -int(-settings["warmup"] * steps // 1), steps)
        every, step = 1 if job.controlled else 10, 0
        model.train()
        for epoch in range(epochs):
            loader.set_epoch(epoch)
            for inputs, labels in loader:
                losses = cross_entropy(model(**inputs), labels, reduction="none")
                accelerator.backward(losses.mean())
                norm = accelerator.clip_grad_norm_(model.parameters(), settings["max_grad_norm"])
                rate = schedule.get_last_lr()[0]
                optimizer.step()
                schedule.step()
                optimizer.zero_grad()
                step += 1
                if step % every == 0 or step in (1, steps):
                    loss = accelerator.gather_for_metrics(losses.detach()).mean().item()
                    job.step(step, steps, loss=loss, learning_rate=rate, grad_norm=norm.item())
    with job.phase("save"):
        model = accelerator.unwrap_model(model)
        save(model, job)
    return predictor(model, job)
