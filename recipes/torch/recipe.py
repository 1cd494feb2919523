"""PyTorch with accelerate, no trainer: you write the loop, every line of it is yours.

Pick it to own the implementation, or to try what no library offers: it is the reference and the speed limit here.

After examples/by_feature/gradient_accumulation.py and examples/by_feature/checkpointing.py of accelerate 1.15.
"""

from collections.abc import Callable

import torch
from accelerate import Accelerator
from accelerate.utils import DataLoaderConfiguration, ProjectConfiguration, TorchDynamoPlugin, set_seed
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader

from recipes.contract.checkpoints import step_of
from recipes.contract.job import Job, Predict
from recipes.contract.schedule import linear
from recipes.pytorch.batches import Batches, TokenIds
from recipes.pytorch.graphs import capturable, in_graphs
from recipes.pytorch.losses import criterion
from recipes.pytorch.model import Classifier, build, load, predictor, save
from recipes.pytorch.optimizer import parameter_groups
from recipes.pytorch.packing import collator
from recipes.pytorch.precision import HALF

__all__ = ["finetune", "load"]


def finetune(job: Job, build: Callable[[Job], Classifier] = build) -> Predict:
    settings, epochs, accumulate = job.settings, job.train.epochs, job.train.accumulate
    gpu, graphed = torch.cuda.is_available(), job.compile == "step"
    accelerator = Accelerator(
        mixed_precision=job.precision if job.precision in HALF else "no",
        gradient_accumulation_steps=accumulate,
        cpu=not gpu,
        dynamo_plugin=TorchDynamoPlugin(  # one compilation for all layers, since they are alike, and for all lengths
            "inductor" if job.compile == "model" else "no", dynamic=True, use_regional_compilation=True
        ),
        dataloader_config=DataLoaderConfiguration(non_blocking=True),
        project_config=ProjectConfiguration(save_on_each_node=True),  # machines may share no folder
    )
    set_seed(job.seed, device_specific=True)  # of several processes each has its own dropout
    with job.phase("load_weights"):
        model = build(job)
        model.encoder.get_input_embeddings().requires_grad_(not settings["freeze_word_embeddings"])
    with job.phase("build_data"):
        train = TokenIds(job.split("train"))
        batches = Batches(job, train.split)
        loader = DataLoader(
            train,
            batch_sampler=batches,
            collate_fn=collator(job, model.encoder),
            pin_memory=gpu,
            generator=torch.Generator(),  # or drawing from the common one would change dropout in a resumed run
        )
    with job.phase("train"):
        optimizer = torch.optim.AdamW(
            parameter_groups(model, settings), betas=settings["betas"], eps=settings["epsilon"], fused=True
        )
        model, optimizer, loader = accelerator.prepare(model, optimizer, loader)
        steps = epochs * len(loader) // accumulate
        schedule = LambdaLR(optimizer, linear(job, steps))
        accelerator.register_for_checkpointing(schedule)
        loss_of, step, seen = criterion(job), 0, []
        if checkpoint := job.checkpoints.newest():
            accelerator.load_state(str(checkpoint))
            step = step_of(checkpoint)
        if graphed:
            capturable(optimizer, accelerator.device)

        @in_graphs(graphed)
        def passes(labels: torch.Tensor, share: float, **batch: torch.Tensor) -> torch.Tensor:
            losses = loss_of(model(**batch), labels, reduction="none")
            accelerator.backward(losses.sum() * share)
            return losses.detach()

        @in_graphs(graphed)
        def update() -> torch.Tensor:
            norm = accelerator.clip_grad_norm_(model.parameters(), settings["max_grad_norm"])
            optimizer.step()
            optimizer.zero_grad(set_to_none=not graphed)  # a graph adds to the gradients where they are
            return norm

        first, done = divmod(step * accumulate, len(loader))
        for epoch in range(first, epochs):
            model.train()
            batches.set_epoch(epoch)
            for batch in accelerator.skip_first_batches(loader, done if epoch == first else 0):
                items = batches.items_in_step(step)  # that the step's mean loss is over
                with accelerator.accumulate(model):
                    # The batch's part of the mean over its step: backward and DDP divide by the step's batches.
                    seen.append(passes(**batch, share=job.batches_per_step / items))
                    if not accelerator.sync_gradients:
                        continue
                    norm = update()
                step, rate = step + 1, schedule.get_last_lr()[0]
                schedule.step()
                if job.reports(step, steps):
                    loss = accelerator.reduce(torch.cat(seen).sum()).item() / items
                    job.step(step, steps, loss=loss, learning_rate=float(rate), grad_norm=norm.item())
                seen.clear()
                if job.checkpoints.due(step):
                    with job.checkpoints.writing(step) as folder:
                        accelerator.save_state(str(folder))
            job.epoch_ended(lambda: predictor(accelerator.unwrap_model(model, keep_torch_compile=False), job))
    with job.phase("save"):
        model = accelerator.unwrap_model(model, keep_torch_compile=False)
        save(model, job)
    return predictor(model, job)
