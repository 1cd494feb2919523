"""Flair's model of each task: built, given its labels, and asked to predict."""

from collections.abc import Sequence
from pathlib import Path

import flair
import numpy as np
import torch
from flair.data import Dictionary, Sentence
from flair.models import SequenceTagger, TextClassifier, TextRegressor
from flair.nn import Model

from recipes.contract.job import Batch, Job, Predict
from recipes.contract.tasks import IGNORED
from recipes.flair.embeddings import GivenIds, embeddings_of, sentences_of
from recipes.pytorch.precision import HALF


def build(job: Job, folder: Path | None = None) -> Model:
    """Return the encoder in a Hugging Face folder, by default the job's, with a new head."""
    labels = Dictionary(add_unk=False)
    for label in job.labels:
        labels.add_item(label)
    embeddings, rate = embeddings_of(job, folder or job.weights), job.dropout.hidden
    if job.task.name == "regression":
        return TextRegressor(embeddings, "label")
    if job.task.name == "tagging":  # a head on each word, and no more: so Flair fine-tunes transformers
        plain = {"use_rnn": False, "use_crf": False, "reproject_embeddings": False, "locked_dropout": 0.0}
        twice = 1 - (1 - rate) ** 0.5  # as often as it drops out
        tagger = SequenceTagger(embeddings, labels, "label", dropout=twice, **plain)
        tagger.predict_spans = False  # its labels are tags: a window may begin within a span
        return tagger
    several = job.task.name == "multilabel"
    return TextClassifier(embeddings, "label", label_dictionary=labels, dropout=rate, multi_label=several)


def parts(model: Model) -> tuple[GivenIds, torch.nn.Linear]:
    """Return a model's embeddings and its head."""
    if isinstance(model, TextRegressor):
        return model.document_embeddings, model.decoder
    return model.embeddings, model.linear if isinstance(model, SequenceTagger) else model.decoder


def give_labels(sentences: Sequence[Sentence], labels: Sequence[np.ndarray], job: Job) -> None:
    """Add to Sentences, or to their words, the labels that rows have."""
    for sentence, label in zip(sentences, labels, strict=True):
        if job.task.name == "tagging":
            for token, tag in zip(sentence, label[label != IGNORED], strict=True):
                token.add_label("label", job.labels[tag])
        elif job.task.name == "regression":
            sentence.add_label("label", repr(float(label)))
        else:
            for place in np.flatnonzero(label) if job.task.name == "multilabel" else [label]:
                sentence.add_label("label", job.labels[place])


def predictor(model: Model, job: Job) -> Predict:
    """Return the function that predicts; Flair's own `predict` gives labels and probabilities, no logits."""
    model.eval()
    embeddings, head = parts(model)

    @torch.inference_mode()
    def predict(batch: Batch) -> np.ndarray | list[np.ndarray]:
        with torch.autocast(flair.device.type, HALF.get(job.precision), enabled=job.precision in HALF):
            sentences = embeddings.embed(sentences_of(batch))
            points = [token for sentence in sentences for token in sentence] if batch.words else sentences
            logits = head(torch.stack([point.get_embedding() for point in points])).float().cpu().numpy()
        return of_tokens(logits, sentences) if batch.words else logits

    return predict


def of_tokens(logits: np.ndarray, sentences: Sequence[Sentence]) -> list[np.ndarray]:
    """Return the logits of words, (words, tags) of all, as those of each row's tokens: 0 where a token begins none."""
    found = []
    for sentence, its in zip(sentences, np.split(logits, np.cumsum([len(one) for one in sentences])[:-1]), strict=True):
        row = np.zeros((len(sentence.get_metadata("token_ids")), logits.shape[1]), np.float32)
        row[sentence.get_metadata("first_ids")] = its
        found.append(row)
    return found
