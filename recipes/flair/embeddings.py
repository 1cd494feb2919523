"""Flair's embeddings of a transformer, from token ids that are given."""

from pathlib import Path

import flair
import numpy as np
import torch
from flair.data import Sentence
from flair.embeddings import TransformerDocumentEmbeddings, TransformerWordEmbeddings
from flair.embeddings.base import register_embeddings
from flair.embeddings.transformer import TransformerEmbeddings

from recipes import weights
from recipes.contract.job import Batch, Job
from recipes.contract.tasks import IGNORED
from recipes.pytorch.batches import pad


def sentences_of(batch: Batch) -> list[Sentence]:
    """Return Sentences that bring their token ids along, so that Flair does not tokenise.

    Flair's tokens are the words that have tags, and the Sentence says which of its ids each begins with; of a text that
    is not tagged it is one, the text.
    """
    sentences = []
    for row, (text, ids) in enumerate(zip(batch.texts, batch.token_ids, strict=True)):
        if batch.words:
            start, end = batch.words[row].T
            first = np.flatnonzero(end > start)
            sentence = Sentence([text[start[place] : end[place]] for place in first])
            sentence.add_metadata("first_ids", first)
        else:
            sentence = Sentence([text])
        sentence.add_metadata("token_ids", ids)
        sentences.append(sentence)
    return sentences


def embeddings_of(job: Job, folder: Path) -> "GivenIds":
    """Return the encoder in a Hugging Face folder, with the job's pooling and dropout."""
    rates = {name: getattr(job.dropout, kind) for name, kind in weights.DROPOUT_NAMES.items()}
    settings = {"transformers_config_kwargs": rates, "trust_remote_code": False}
    if job.task.name == "tagging":
        return WordsOfGivenIds(str(folder), allow_long_sentences=False, **settings)
    return TextsOfGivenIds(str(folder), cls_pooling=job.pooling, **settings)


class GivenIds(TransformerEmbeddings):
    """Flair's embeddings of a transformer, from the token ids that each Sentence brings; in fp32, without pooler."""

    def __init__(self, model: str, **settings):
        loading = {"dtype": torch.float32, "use_safetensors": True}
        settings |= {"use_context_separator": False, "transformers_model_kwargs": loading}
        super().__init__(model, **settings)
        torch.backends.cuda.enable_cudnn_sdp(False)  # attention that plans anew for each length that it has not met
        if hasattr(self.model, "pooler"):
            del self.model.pooler  # of what accelerate compiles it leaves out modules that are None
        self.model.pooler, self.initial_cls_token = None, True  # the ids begin with it; Flair asks its own tokenizer

    def prepare_tensors(self, sentences: list[Sentence], device: torch.device | None = None):
        tensors = pad([sentence.get_metadata("token_ids") for sentence in sentences], self.model.config.pad_token_id)
        tensors |= self.places(sentences, tensors["attention_mask"])
        return {name: tensor.to(device or flair.device) for name, tensor in tensors.items()}

    def places(self, sentences: list[Sentence], mask: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return what says which ids are of which point of data, as Flair's own tensors do."""
        raise NotImplementedError


@register_embeddings
class TextsOfGivenIds(GivenIds, TransformerDocumentEmbeddings):
    """An embedding for each text, of all its tokens."""

    def places(self, sentences: list[Sentence], mask: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"sub_token_lengths": mask.sum(1)}


@register_embeddings
class WordsOfGivenIds(GivenIds, TransformerWordEmbeddings):
    """An embedding for each word, that of its first token: subtoken_pooling="first", which is Flair's default."""

    def places(self, sentences: list[Sentence], mask: torch.Tensor) -> dict[str, torch.Tensor]:
        words = torch.full_like(mask, IGNORED)  # as Flair has it for a token that is of no word
        for row, sentence in zip(words, sentences, strict=True):
            row[torch.from_numpy(sentence.get_metadata("first_ids"))] = torch.arange(len(sentence))
        return {"word_ids": words, "token_lengths": torch.tensor([len(sentence) for sentence in sentences])}
