"""Flair, its ModelTrainer: it owns the loop, you give it a model and a corpus; plugins hook into it.

Pick it for tagging and classifying text with few words: embeddings, models and trainer are made for that alone.

After the tutorial how-to-train-text-classifier and examples/multi_gpu/run_multi_gpu.py of Flair 0.15.
"""

from collections.abc import Callable

import flair
import torch
from accelerate.utils import compile_regions
from flair.data import Corpus
from flair.datasets import FlairDatapointDataset
from flair.nn import Model
from flair.trainers import ModelTrainer
from safetensors.torch import load_file

from recipes import weights
from recipes.contract.job import Job, Predict
from recipes.flair.embeddings import sentences_of
from recipes.flair.model import build, give_labels, parts, predictor
from recipes.flair.plugins import Checkpoint, Linear, Report, place
from recipes.pytorch.precision import HALF

__all__ = ["finetune", "load"]


def finetune(job: Job, build: Callable[[Job], Model] = build, schedule: Callable[[Job], Linear] = Linear) -> Predict:
    several, settings = job.processes > 1, job.settings
    if several:
        job = place(job)
    flair.set_seed(job.seed)
    with job.phase("load_weights"):
        model = build(job)
        embeddings, head = parts(model)
        encoder = embeddings.model
        encoder.get_input_embeddings().requires_grad_(not settings["freeze_word_embeddings"])
        job.event("model", parameters=sum(p.numel() for p in model.parameters()))
    with job.phase("build_data"):
        split = job.split("train")
        # Not Sentence(text), which cuts "don't," in three: some ids are others then, and of RoBERTa's nearly all.
        sentences = sentences_of(split.batch(range(len(split))))
        give_labels(sentences, [split.labels[row] for row in range(len(split))], job)
        corpus = Corpus(train=FlairDatapointDataset(sentences), sample_missing_splits=False)
    with job.phase("train"):
        half = HALF.get(job.precision)
        if half:
            torch.set_autocast_dtype(flair.device.type, half)  # what use_amp takes; on a GPU it would be fp16
        if job.compile == "model":
            embeddings.model = compile_regions(encoder, dynamic=True)  # once for all layers
        rates = schedule(job)
        checkpoint = Checkpoint(job, rates, len(split))
        report = Report(checkpoint, lambda: predictor(model, job))
        trainer = ModelTrainer(model, corpus)
        trainer.fine_tune(
            job.model / "flair",
            learning_rate=settings["learning_rate"],
            decoder_learning_rate=settings["head_learning_rate"],
            mini_batch_size=job.rows_per_step // job.processes,
            mini_batch_chunk_size=job.train.batch_size,
            max_epochs=job.train.epochs,
            epoch=checkpoint.epoch,
            max_grad_norm=settings["max_grad_norm"],
            weight_decay=settings["weight_decay"],  # this and the next three go to its optimiser, torch's AdamW
            betas=settings["betas"],
            eps=settings["epsilon"],
            fused=True,
            use_amp=half is not None,
            sampler=None if several else checkpoint.sampler,  # its own is DistributedSampler
            multi_gpu=several,
            plugins=[report, rates, checkpoint],  # in the order they are called in
            attach_default_scheduler=False,
            create_file_logs=False,
            create_loss_file=False,
            save_final_model=False,  # below, in a phase of its own
        )
    with job.phase("save"):
        embeddings.model = encoder  # not the compiled one, whose names are others
        model.model_card["training_parameters"].pop("sampler", None)  # or the file would hold the corpus too
        model.save(job.model / "flair" / "final-model.pt")
        states = encoder.state_dict(), head.state_dict()
        weights.write(job, *({name: values.cpu().numpy() for name, values in state.items()} for state in states))
    return predictor(model, job)


def load(job: Job) -> Predict:
    """Return the function that predicts, from the Hugging Face folder: Flair's own file is a pickle."""
    model = build(job, job.model)
    parts(model)[1].load_state_dict(load_file(job.model / "head.safetensors"))
    return predictor(model, job)
