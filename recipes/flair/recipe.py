"""Flair, its ModelTrainer: it owns the loop, you give it a model and a corpus; plugins hook into it.

Pick it for tagging and classifying text with few words: embeddings, models and trainer are made for that alone.
"""

from pathlib import Path

import flair
import numpy as np
import torch
from flair.data import Corpus, Dictionary, Sentence
from flair.datasets import FlairDatapointDataset
from flair.embeddings import TransformerDocumentEmbeddings
from flair.embeddings.base import register_embeddings
from flair.models import TextClassifier
from flair.trainers import ModelTrainer

from recipes import weights
from recipes.contract.job import Batch, Hidden, Job, Predict
from recipes.flair.plugins import Checkpoint, Controlled, Linear, Report, place
from recipes.pytorch.batches import pad


def finetune(job: Job) -> Predict:
    several = job.processes > 1
    if several:
        place(job)
    flair.set_seed(job.seed)
    settings = job.settings
    with job.phase("load_weights"):
        classifier = build(job, job.weights, job.head() if job.controlled else None)
        embeddings = classifier.embeddings
        embeddings.model.get_input_embeddings().requires_grad_(not settings["freeze_word_embeddings"])
        job.event("model", parameters=sum(p.numel() for p in classifier.parameters()))
    with job.phase("build_data"):
        split = job.split("train")
        sentences = sentences_of(split.batch(range(len(split))))
        for sentence, label in zip(sentences, split.labels, strict=True):
            sentence.add_label("label", job.labels[label])
        corpus = Corpus(train=FlairDatapointDataset(sentences), sample_missing_splits=False)
    with job.phase("train"):
        torch.set_autocast_dtype(flair.device.type, torch.bfloat16)  # what use_amp takes; on a GPU it would be fp16
        schedule = (Controlled if job.controlled else Linear)(job)
        checkpoints = Checkpoint(job, schedule, split.lengths)
        trainer = ModelTrainer(classifier, corpus)
        trainer.fine_tune(
            job.model / "flair",
            learning_rate=settings["learning_rate"],
            decoder_learning_rate=settings["head_learning_rate"],
            mini_batch_size=job.rows_per_step // job.processes,
            mini_batch_chunk_size=job.train.batch_size,
            max_epochs=job.train.epochs,
            epoch=checkpoints.epoch,
            max_grad_norm=settings["max_grad_norm"],
            weight_decay=settings["weight_decay"],  # this and the next three go to its optimiser, torch's AdamW
            betas=settings["betas"],
            eps=settings["epsilon"],
            fused=True,
            use_amp=job.precision == "bf16",
            sampler=None if several else checkpoints.sampler,  # its own is DistributedSampler
            multi_gpu=several,
            plugins=[
                Report(checkpoints, lambda: predictor(classifier, job)),
                schedule,
                checkpoints,
            ],  # in the order they are called in
            attach_default_scheduler=False,
            create_file_logs=False,
            create_loss_file=False,
            save_final_model=False,  # below, in a phase of its own
        )
    with job.phase("save"):
        classifier.model_card["training_parameters"].pop("sampler", None)  # or the file would hold the corpus too
        classifier.save(job.model / "flair" / "final-model.pt")
        parts = embeddings.model.state_dict(), classifier.decoder.state_dict()
        weights.write(job, *({name: values.cpu().numpy() for name, values in part.items()} for part in parts))
    return predictor(classifier, job)


def build(job: Job, folder: Path, head: weights.Head | None) -> TextClassifier:
    """Return the encoder in a Hugging Face folder with a head: the one given, or a new one."""
    labels = Dictionary(add_unk=False)
    for label in job.labels:
        labels.add_item(label)
    dropout = job.dropout.hidden
    classifier = TextClassifier(embeddings_of(job, folder), "label", label_dictionary=labels, dropout=dropout)
    if head:
        weight, bias = map(torch.from_numpy, head)
        classifier.decoder.load_state_dict({"weight": weight, "bias": bias})
    return classifier


def load(job: Job) -> Predict:
    """Return the function that predicts, from the Hugging Face folder: Flair's own file is a pickle."""
    return predictor(build(job, job.model, weights.read_head(job.model)), job)


def predictor(classifier: TextClassifier, job: Job) -> Predict:
    """Return the function that predicts; Flair's own `predict` gives labels and probabilities, no logits."""
    classifier.eval()

    @torch.inference_mode()
    def predict(batch: Batch) -> np.ndarray:
        with torch.autocast(flair.device.type, torch.bfloat16, enabled=job.precision == "bf16"):
            sentences = classifier.embeddings.embed(sentences_of(batch))
            logits = classifier.decoder(torch.stack([sentence.get_embedding() for sentence in sentences]))
        return logits.float().cpu().numpy()

    return predict


def hidden_states(job: Job) -> Hidden:
    embeddings = embeddings_of(job, job.weights)

    @torch.inference_mode()
    def hidden(batch: Batch, training: bool) -> np.ndarray:
        tensors = embeddings.train(training).prepare_tensors(sentences_of(batch))
        return embeddings.model(tensors["input_ids"], tensors["attention_mask"]).last_hidden_state.cpu().numpy()

    return hidden


def sentences_of(batch: Batch) -> list[Sentence]:
    """Return Sentences that bring their token ids along; Flair's own tokens are not used: each text is one."""
    sentences = [Sentence([text]) for text in batch.texts]
    for sentence, ids in zip(sentences, batch.token_ids, strict=True):
        sentence.add_metadata("token_ids", ids)
    return sentences


def embeddings_of(job: Job, folder: Path) -> "GivenIds":
    """Return the encoder in a Hugging Face folder."""
    rates = {name: getattr(job.dropout, kind) for name, kind in weights.DROPOUT_NAMES.items()}
    return GivenIds(str(folder), cls_pooling=job.pooling, transformers_config_kwargs=rates, trust_remote_code=False)


@register_embeddings
class GivenIds(TransformerDocumentEmbeddings):
    """Flair's embeddings of a transformer, from the token ids that each Sentence brings; in fp32, without pooler."""

    def __init__(self, model: str, **settings):
        loading = {"dtype": torch.float32, "use_safetensors": True}
        settings |= {"use_context_separator": False, "transformers_model_kwargs": loading}
        super().__init__(model, **settings)
        self.model.pooler, self.initial_cls_token = None, True  # the ids begin with it; Flair asks its own tokenizer

    def prepare_tensors(self, sentences: list[Sentence], device: torch.device | None = None):
        tensors = pad([sentence.get_metadata("token_ids") for sentence in sentences], self.model.config.pad_token_id)
        tensors["sub_token_lengths"] = tensors["attention_mask"].sum(1)
        return {name: tensor.to(device or flair.device) for name, tensor in tensors.items()}
