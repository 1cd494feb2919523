"""Flair's embeddings of a transformer, from token ids that are given."""

from pathlib import Path

import flair
import torch
from flair.data import Sentence
from flair.embeddings import TransformerDocumentEmbeddings
from flair.embeddings.base import register_embeddings

from recipes import weights
from recipes.contract.job import Batch, Job
from recipes.pytorch.batches import pad


def sentences_of(batch: Batch) -> list[Sentence]:
    """Return Sentences that bring their token ids along; Flair's own tokens are not used: each text is one."""
    sentences = [Sentence([text]) for text in batch.texts]
    for sentence, ids in zip(sentences, batch.token_ids, strict=True):
        sentence.add_metadata("token_ids", ids)
    return sentences


def embeddings_of(job: Job, folder: Path) -> "GivenIds":
    """Return the encoder in a Hugging Face folder, with the job's pooling and dropout."""
    rates = {name: getattr(job.dropout, kind) for name, kind in weights.DROPOUT_NAMES.items()}
    return GivenIds(str(folder), cls_pooling=job.pooling, transformers_config_kwargs=rates, trust_remote_code=False)


@register_embeddings
class GivenIds(TransformerDocumentEmbeddings):
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
        tensors["sub_token_lengths"] = tensors["attention_mask"].sum(1)
        return {name: tensor.to(device or flair.device) for name, tensor in tensors.items()}
