"""Flair, its ModelTrainer: it owns the loop, you give it a model and a corpus; plugins hook into it.

Pick it for tagging and classifying text with few words: embeddings, models and trainer are made for that alone.

After the tutorial how-to-train-text-classifier and examples/multi_gpu/run_multi_gpu.py of Flair 0.15.
"""

from collections.abc import Callable
from pathlib import Path

import flair
import numpy as np
import torch
from accelerate.utils import compile_regions
from flair.data import Corpus, Dictionary
from flair.datasets import FlairDatapointDataset
from flair.models import TextClassifier
from flair.trainers import ModelTrainer
from safetensors.torch import load_file

from recipes import weights
from recipes.contract.job import Batch, Job, Predict
from recipes.flair.embeddings import embeddings_of, sentences_of
from recipes.flair.plugins import Checkpoint, Linear, Report, place
from recipes.pytorch.precision import HALF

__all__ = ["finetune", "load"]


def build(job: Job, folder: Path | None = None) -> TextClassifier:
    """Return the encoder in a Hugging Face folder, by default the job's, with a new head."""
    labels = Dictionary(add_unk=False)
    for label in job.labels:
        labels.add_item(label)
    embeddings = embeddings_of(job, folder or job.weights)
    return TextClassifier(embeddings, "label", label_dictionary=labels, dropout=job.dropout.hidden)


def finetune(
    job: Job, build: Callable[[Job], TextClassifier] = build, schedule: Callable[[Job], Linear] = Linear
) -> Predict:
    several, settings = job.processes > 1, job.settings
    if several:
        job = place(job)
    flair.set_seed(job.seed)
    with job.phase("load_weights"):
        classifier = build(job)
        encoder = classifier.embeddings.model
        encoder.get_input_embeddings().requires_grad_(not settings["freeze_word_embeddings"])
        job.event("model", parameters=sum(p.numel() for p in classifier.parameters()))
    with job.phase("build_data"):
        split = job.split("train")
        # Not Sentence(text), which cuts "don't," in three: some ids are others then, and of RoBERTa's nearly all.
        sentences = sentences_of(split.batch(range(len(split))))
        for sentence, label in zip(sentences, split.labels, strict=True):
            sentence.add_label("label", job.labels[label])
        corpus = Corpus(train=FlairDatapointDataset(sentences), sample_missing_splits=False)
    with job.phase("train"):
        half = HALF.get(job.precision)
        if half:
            torch.set_autocast_dtype(flair.device.type, half)  # what use_amp takes; on a GPU it would be fp16
        if job.compile == "model":
            classifier.embeddings.model = compile_regions(encoder, dynamic=True)  # once for all layers
        rates = schedule(job)
        checkpoint = Checkpoint(job, rates, len(split))
        report = Report(checkpoint, lambda: predictor(classifier, job))
        trainer = ModelTrainer(classifier, corpus)
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
        classifier.embeddings.model = encoder  # not the compiled one, whose names are others
        classifier.model_card["training_parameters"].pop("sampler", None)  # or the file would hold the corpus too
        classifier.save(job.model / "flair" / "final-model.pt")
        parts = encoder.state_dict(), classifier.decoder.state_dict()
        weights.write(job, *({name: values.cpu().numpy() for name, values in part.items()} for part in parts))
    return predictor(classifier, job)


def load(job: Job) -> Predict:
    """Return the function that predicts, from the Hugging Face folder: Flair's own file is a pickle."""
    classifier = build(job, job.model)
    classifier.decoder.load_state_dict(load_file(job.model / "head.safetensors"))
    return predictor(classifier, job)


def predictor(classifier: TextClassifier, job: Job) -> Predict:
    """Return the function that predicts; Flair's own `predict` gives labels and probabilities, no logits."""
    classifier.eval()

    @torch.inference_mode()
    def predict(batch: Batch) -> np.ndarray:
        with torch.autocast(flair.device.type, HALF.get(job.precision), enabled=job.precision in HALF):
            sentences = classifier.embeddings.embed(sentences_of(batch))
            logits = classifier.decoder(torch.stack([sentence.get_embedding() for sentence in sentences]))
        return logits.float().cpu().numpy()

    return predict
