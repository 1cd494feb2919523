"""PyTorch with accelerate, no trainer: you write the loop, every line of it is yours.

Pick it to own the implementation, or to try what no library offers: it is the reference and the speed limit here.
"""

from collections.abc import Callable

import torch
from accelerate import Accelerator
from accelerate.utils import ProjectConfiguration, set_seed
from torch.nn.functional import cross_entropy
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader

from recipes.contract.checkpoints import step_of
from recipes.contract.job import Job, Predict
from recipes.contract.schedule import linear
from recipes.pytorch.batches import Batches, TokenIds, pad
from recipes.pytorch.model import Classifier, build, load, predictor, save
from recipes.pytorch.optimizer import parameter_groups

__all__ = ["finetune", "load"]


def finetune(job: Job, build: Callable[[Job], Classifier] = build) -> Predict:
    settings, epochs, accumulate = job.settings, job.train.epochs, job.train.accumulate
    accelerator = Accelerator(
        mixed_precision="bf16" if job.precision == "bf16" else "no",
        gradient_accumulation_steps=accumulate,
        cpu=not torch.cuda.is_available(),
        project_config=ProjectConfiguration(save_on_each_node=True),  # machines may share no folder
    )
    set_seed(job.seed, device_specific=True)  # of several processes each has its own dropout
    with job.phase("load_weights"):
        model = build(job)
        model.encoder.get_input_embeddings().requires_grad_(not settings["freeze_word_embeddings"])
    with job.phase("build_data"):
        split, padding = job.split("train"), model.encoder.config.pad_token_id

        def collate(rows):
            return pad([row["input_ids"] for row in rows], padding), torch.tensor([row["label"] for row in rows])

        # The loader draws from a generator of its own, or a resumed run would have another dropout.
        batches, own = Batches(job, len(split)), torch.Generator()
        loader = DataLoader(TokenIds(split), batch_sampler=batches, collate_fn=collate, generator=own)
    with job.phase("train"):
        optimizer = torch.optim.AdamW(
            parameter_groups(model, settings), betas=settings["betas"], eps=settings["epsilon"], fused=True
        )
        model, optimizer, loader = accelerator.prepare(model, optimizer, loader)
        steps = epochs * len(loader) // accumulate
        schedule = LambdaLR(optimizer, linear(job, steps))
        accelerator.register_for_checkpointing(schedule)
        step, seen = 0, []
        if checkpoint := job.checkpoints.newest():
            accelerator.load_state(str(checkpoint))
            step = step_of(checkpoint)
        model.train()
        while step < steps:
            epoch, done = divmod(step * accumulate, len(loader))
            batches.set_epoch(epoch)
            for number, (inputs, labels) in enumerate(accelerator.skip_first_batches(loader, done), done):
                with accelerator.accumulate(model):
                    losses = cross_entropy(model(**inputs), labels, reduction="none")
                    # The batch's part of the mean over its step's rows: backward and DDP divide by its batches.
                    rows = batches.rows_in_step(number)
                    accelerator.backward(losses.sum() * job.batches_per_step / rows)
                    if accelerator.sync_gradients:
                        norm = accelerator.clip_grad_norm_(model.parameters(), settings["max_grad_norm"])
                    optimizer.step()
                    optimizer.zero_grad()
                seen.append(losses.detach())
                if not accelerator.sync_gradients:
                    continue
                step, rate = step + 1, schedule.get_last_lr()[0]
                schedule.step()
                if job.reports(step, steps):
                    loss = accelerator.reduce(torch.cat(seen).sum()).item() / rows
                    job.step(step, steps, loss=loss, learning_rate=rate, grad_norm=norm.item())
                seen.clear()
                if job.checkpoints.due(step):
                    with job.checkpoints.writing(step) as folder:
                        accelerator.save_state(str(folder))
            job.epoch_ended(lambda: predictor(accelerator.unwrap_model(model), job))
            model.train()
    with job.phase("save"):
        model = accelerator.unwrap_model(model)
        save(model, job)
    return predictor(model, job)
