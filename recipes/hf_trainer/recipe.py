"""Hugging Face transformers, the Trainer: it owns the loop, you give it a model, arguments and data.

Pick it for a first project: everything around training is there.

After examples/pytorch/text-classification/run_classification.py, examples/pytorch/token-classification/run_ner.py and
docs/source/en/trainer_callbacks.md of transformers 5.
"""

import math
import os
from collections.abc import Callable
from functools import partial

import torch
from torch.optim.lr_scheduler import LambdaLR
from transformers import Trainer, TrainingArguments, set_seed

from recipes.contract.job import Job, Predict
from recipes.contract.schedule import linear
from recipes.hf_trainer.callbacks import Checkpoint, Report
from recipes.pytorch.batches import TokenIds
from recipes.pytorch.losses import criterion
from recipes.pytorch.model import Classifier, build, load, predictor, save
from recipes.pytorch.optimizer import parameter_groups
from recipes.pytorch.packing import collator

__all__ = ["finetune", "load"]


def finetune(
    job: Job, build: Callable[[Job], Classifier] = build, trainer_class: Callable[..., Trainer] = Trainer
) -> Predict:
    set_seed(job.seed)
    settings, compiled = job.settings, job.compile == "model"
    if compiled:  # for any length, and once for all layers, which are alike: accelerate's words, the Trainer has none
        os.environ |= {"ACCELERATE_DYNAMO_USE_DYNAMIC": "true", "ACCELERATE_DYNAMO_USE_REGIONAL_COMPILATION": "true"}
    with job.phase("load_weights"):
        model = build(job)
        model.encoder.get_input_embeddings().requires_grad_(not settings["freeze_word_embeddings"])
    with job.phase("build_data"):
        train = TokenIds(job.split("train"))
    with job.phase("train"):
        optimizer = torch.optim.AdamW(
            parameter_groups(model, settings), betas=settings["betas"], eps=settings["epsilon"], fused=True
        )
        steps = job.train.epochs * math.ceil(len(train) / job.rows_per_step)
        arguments = TrainingArguments(
            output_dir=str(job.checkpoints.folder),
            num_train_epochs=job.train.epochs,
            per_device_train_batch_size=job.train.batch_size,
            gradient_accumulation_steps=job.train.accumulate,
            train_sampling_strategy="group_by_length",
            max_grad_norm=settings["max_grad_norm"],
            bf16=job.precision == "bf16",
            fp16=job.precision == "fp16",
            torch_compile=compiled,
            tf32=job.precision == "tf32" if compiled else None,  # which compiling would allow by itself
            seed=job.seed,
            use_cpu=not torch.cuda.is_available(),
            dataloader_pin_memory=torch.cuda.is_available(),
            accelerator_config={"non_blocking": torch.cuda.is_available()},  # batches are sent ahead
            remove_unused_columns=False,  # the collator takes what it needs
            ddp_find_unused_parameters=False,
            logging_strategy="no",  # the callbacks say when
            logging_nan_inf_filter=False,  # it would wait for the device at each step
            save_strategy="no",
            save_on_each_node=True,  # machines may share no folder
            report_to="none",
            disable_tqdm=True,
        )
        trainer = trainer_class(
            model,
            arguments,
            train_dataset=train,
            data_collator=collator(job, model.encoder),
            compute_loss_func=partial(mean_loss, criterion(job)),
            optimizers=(optimizer, LambdaLR(optimizer, linear(job, steps))),
            callbacks=[Report(job), Checkpoint(job)],
        )
        trainer.train(resume_from_checkpoint=job.checkpoints.newest())
    with job.phase("save"):
        save(model, job)
    return predictor(model, job)


def mean_loss(criterion, logits: torch.Tensor, labels: torch.Tensor, num_items_in_batch: torch.Tensor) -> torch.Tensor:
    """Return a batch's part of the loss: a mean over the optimiser step, whose labels the Trainer counts."""
    return criterion(logits, labels, reduction="sum") / num_items_in_batch
