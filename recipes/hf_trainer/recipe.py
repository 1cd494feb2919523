"""Hugging Face transformers, the Trainer: it owns the loop, you give it a model, arguments and data.

Pick it for a first project: everything around training is there.
"""

import torch
from transformers import Trainer, TrainerCallback, TrainingArguments, set_seed

from recipes.contract.job import Job, Predict
from recipes.contract.schedule import linear
from recipes.pytorch.batches import Batches, TokenIds, pad
from recipes.pytorch.controlled import build as built
from recipes.pytorch.controlled import hidden_states
from recipes.pytorch.model import build, load, predictor, save
from recipes.pytorch.optimizer import parameter_groups

__all__ = ["finetune", "hidden_states", "load"]


def finetune(job: Job) -> Predict:
    set_seed(job.seed)
    settings = job.settings
    with job.phase("load_weights"):
        model = (built if job.controlled else build)(job)
        model.encoder.get_input_embeddings().requires_grad_(not settings["freeze_word_embeddings"])
    with job.phase("build_data"):
        train = TokenIds(job.split("train"))
        padding = model.encoder.config.pad_token_id

        def collate(rows):
            labels = torch.tensor([row["label"] for row in rows])
            return {**pad([row["input_ids"] for row in rows], padding), "labels": labels}

    with job.phase("train"):
        optimizer = torch.optim.AdamW(
            parameter_groups(model, settings), betas=settings["betas"], eps=settings["epsilon"], fused=True
        )
        arguments = TrainingArguments(
            output_dir=str(job.checkpoints.folder),
            num_train_epochs=job.train.epochs,
            per_device_train_batch_size=job.train.batch_size,
            gradient_accumulation_steps=job.train.accumulate,
            train_sampling_strategy="group_by_length",
            max_grad_norm=settings["max_grad_norm"],
            bf16=job.precision == "bf16",
            seed=job.seed,
            use_cpu=not torch.cuda.is_available(),
            dataloader_pin_memory=torch.cuda.is_available(),
            remove_unused_columns=False,
            ddp_find_unused_parameters=False,
            logging_strategy="no",  # `Report` says when
            save_strategy="no",
            save_on_each_node=True,  # machines may share no folder
            report_to="none",
            disable_tqdm=True,
        )
        trainer = (InGivenOrder if job.controlled else Linear)(
            model,
            arguments,
            train_dataset=train,
            data_collator=collate,
            compute_loss_func=mean_loss,
            optimizers=(optimizer, None),  # the Trainer asks for a schedule when it knows the steps
            callbacks=[Report(job)],
        )
        trainer.job = job
        trainer.train(resume_from_checkpoint=job.checkpoints.newest())
    with job.phase("save"):
        save(model, job)
    return predictor(model, job)


def mean_loss(logits, labels, num_items_in_batch):
    """Return a batch's part of the loss: a mean over all rows of the optimiser step, which the Trainer counts."""
    return torch.nn.functional.cross_entropy(logits, labels, reduction="sum") / num_items_in_batch


class Report(TrainerCallback):
    """Hand the Trainer's logs on as the job's progress events, and say when it logs and makes a checkpoint."""

    def __init__(self, job: Job):
        self.job = job

    def on_epoch_begin(self, args, state, control, **kwargs):
        epoch = state.global_step * state.num_train_epochs // state.max_steps  # state.epoch, resumed, is a fraction
        torch.manual_seed(self.job.seed + epoch)  # its order, in a run that was resumed too

    def on_epoch_end(self, args, state, control, model=None, **kwargs):
        self.job.epoch_ended(lambda: predictor(model, self.job))  # the Trainer's next step sets it to train again

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step * state.num_train_epochs % state.max_steps == 0:
            self.on_epoch_begin(args, state, control)  # a checkpoint made here is loaded after the next one's begin
        control.should_log = self.job.reports(state.global_step, state.max_steps)
        control.should_save = self.job.checkpoints.due(state.global_step)

    def on_save(self, args, state, control, **kwargs):
        self.job.checkpoints.seal(self.job.checkpoints.folder / f"checkpoint-{state.global_step}")

    def on_log(self, args, state, control, logs=None, **kwargs):
        if "loss" in logs:
            values = {name: logs.get(name) for name in ("loss", "learning_rate", "grad_norm")}
            self.job.step(state.global_step, state.max_steps, **values)


class Linear(Trainer):
    """The Trainer, with the rate going up and down: its own linear schedule begins with a step at rate 0."""

    job: Job

    def create_scheduler(self, num_training_steps, optimizer=None):
        self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(self.optimizer, linear(self.job, num_training_steps))
        return self.lr_scheduler


class InGivenOrder(Linear):
    """With the batches that the controlled protocol gives, too."""

    def get_train_dataloader(self):
        batches = Batches(self.job, len(self.train_dataset))
        loader = torch.utils.data.DataLoader(self.train_dataset, batch_sampler=batches, collate_fn=self.data_collator)
        loader = self.accelerator.prepare(loader)
        loader.batch_sampler.set_epoch = batches.set_epoch  # a shard, of several processes, does not hand it on
        return loader
