"""torchvision, with accelerate: you write the loop; its models, transforms and references are yours to put together.

Pick it for postings that come as pictures (scans, flyers, screenshots); of a text it sees what a printer makes of it.

After references/classification/train.py and presets.py of torchvision 0.28: SGD or AdamW, smoothed labels, a rate that
rises and then falls as a cosine, no decay of what normalises. accelerate has the place of its `utils` for several
processes.
"""

from functools import partial

import torch
from accelerate import Accelerator
from accelerate.utils import DataLoaderConfiguration, ProjectConfiguration, set_seed
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader

from recipes.contract.checkpoints import step_of
from recipes.contract.job import Job, Predict
from recipes.pytorch.batches import Batches
from recipes.pytorch.precision import HALF
from recipes.torchvision.data import Pictures, collate, look_through, page_of, shuffled, sized, trained_on
from recipes.torchvision.model import build, load, predictor, save
from recipes.torchvision.optimizer import cosine, criterion, optimizer_of

__all__ = ["finetune", "load"]


def finetune(job: Job) -> Predict:
    job = sized(job)
    settings, epochs, accumulate = job.settings, job.train.epochs, job.train.accumulate
    accelerator = Accelerator(
        mixed_precision=job.precision if job.precision in HALF else "no",
        gradient_accumulation_steps=accumulate,
        cpu=not torch.cuda.is_available(),
        dataloader_config=DataLoaderConfiguration(non_blocking=True),
        project_config=ProjectConfiguration(save_on_each_node=True),  # machines may share no folder
    )
    set_seed(job.seed)
    with job.phase("load_weights"):
        model = build(job)
        set_seed(job.seed, device_specific=True)  # of several processes each has its own dropout
    with job.phase("build_data"):
        page = page_of(settings)
        look_through(job, page)
        train = Pictures(job.split("train"), page, trained_on(job), job.seed)
        batches = Batches(job, train.split, order=partial(shuffled, job))
        loader = DataLoader(
            train,
            batch_sampler=batches,
            collate_fn=collate,
            pin_memory=torch.cuda.is_available(),
            generator=torch.Generator(),
        )
    with job.phase("train"):
        steps = epochs * len(loader) // job.batches_per_step
        optimizer = optimizer_of(model, settings)
        if accelerator.num_processes > 1 and accelerator.device.type == "cuda":
            model = torch.nn.SyncBatchNorm.convert_sync_batchnorm(model)
        model, optimizer, loader = accelerator.prepare(model, optimizer, loader)
        schedule = LambdaLR(optimizer, cosine(settings["warmup"], steps))
        accelerator.register_for_checkpointing(schedule)
        loss_of, step, seen = criterion(job), 0, []
        if checkpoint := job.checkpoints.newest():
            accelerator.load_state(str(checkpoint))
            step = step_of(checkpoint)
        first, done = divmod(step * accumulate, len(loader))
        for epoch in range(first, epochs):
            model.train()
            batches.set_epoch(epoch)
            train.set_epoch(epoch)
            for batch in accelerator.skip_first_batches(loader, done if epoch == first else 0):
                labels = batch["labels"]
                items = batches.items_in_step(step)  # that the step's mean loss is over
                with accelerator.accumulate(model):
                    losses = loss_of(model(batch["images"]).float(), labels, reduction="none")
                    accelerator.backward(losses.sum() * job.batches_per_step / items)
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
                    loss = accelerator.reduce(torch.cat(seen).sum()).item() / items
                    job.step(step, steps, loss=loss, learning_rate=rate, grad_norm=norm.item())
                seen.clear()
                if job.checkpoints.due(step):
                    with job.checkpoints.writing(step) as folder:
                        accelerator.save_state(str(folder))
            job.epoch_ended(lambda: predictor(accelerator.unwrap_model(model), settings, job))
    with job.phase("save"):
        model = accelerator.unwrap_model(model)
        save(model, job)
    return predictor(model, settings, job)
