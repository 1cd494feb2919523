"""What fairseq lacks for this job, registered with its own decorators: a folder for its `--user-dir`.

A task over token ids that are there already, an encoder that is BERT's as well as RoBERTa's, and PyTorch's AdamW.
(fairseq puts the folder above this one first on sys.path: nothing else may lie in it.)
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from fairseq.data import (
    Dictionary,
    ListDataset,
    NestedDictionaryDataset,
    NumelDataset,
    RawLabelDataset,
    RightPadDataset,
    iterators,
)
from fairseq.dataclass import FairseqDataclass
from fairseq.logging import metrics
from fairseq.models import FairseqEncoderModel, register_model
from fairseq.models.transformer import TransformerEncoder
from fairseq.optim import FairseqOptimizer, register_optimizer
from fairseq.optim.adam import FairseqAdam, FairseqAdamConfig
from fairseq.tasks import register_task
from fairseq.tasks.sentence_prediction import SentencePredictionConfig, SentencePredictionTask
from torch import nn

from recipes.job import Job


@dataclass
class TextClassificationConfig(SentencePredictionConfig):
    data: str = field(default="", metadata={"help": "the job.json of a run"})
    vocabulary: int = field(default=0, metadata={"help": "number of token ids"})
    pad: int = field(default=0, metadata={"help": "token id of padding"})
    rebuild_batches: bool = field(default=True, metadata={"help": "make other batches each epoch"})


@register_task("text_classification", dataclass=TextClassificationConfig)
class TextClassificationTask(SentencePredictionTask):
    """fairseq's sentence prediction, on a job's rows and with its reports."""

    def __init__(self, cfg, dictionary):
        super().__init__(cfg, dictionary, None)
        self.job, self.updates = Job.read(Path(cfg.data)), 0

    @classmethod
    def setup_task(cls, cfg, **kwargs):
        dictionary = Dictionary(add_special_symbols=False)  # the ids stay the model's own
        for number in range(cfg.vocabulary):
            dictionary.add_symbol(str(number))
        dictionary.pad_index = cfg.pad
        return cls(cfg, dictionary)

    def load_dataset(self, split, **kwargs):
        rows = self.job.split(split)
        ids = [torch.tensor(rows.token_ids[row], dtype=torch.long) for row in range(len(rows))]
        tokens = ListDataset(ids, rows.lengths)
        parts = {
            "net_input": {"src_tokens": RightPadDataset(tokens, self.source_dictionary.pad())},
            "target": RawLabelDataset(rows.labels.tolist()),
            "ntokens": NumelDataset(tokens, reduce=True),
        }
        self.datasets[split] = OfLikeLength(parts, sizes=[rows.lengths])

    def get_batch_iterator(self, dataset, *args, epoch=1, **kwargs):
        if not self.job.controlled:
            return super().get_batch_iterator(dataset, *args, epoch=epoch, **kwargs)
        batches, shard = self.job.batches(epoch - 1), {name: kwargs[name] for name in ("num_shards", "shard_id")}
        return iterators.EpochBatchIterator(
            dataset, dataset.collater, batches, epoch=epoch, disable_shuffling=True, **shard
        )

    def optimizer_step(self, optimizer, model, update_num):
        self.rate = optimizer.get_lr()  # of this step: the schedule has moved on when the metrics are reduced
        super().optimizer_step(optimizer, model, update_num)

    def reduce_metrics(self, logging_outputs, criterion):
        super().reduce_metrics(logging_outputs, criterion)
        self.updates += 1
        if self.job.controlled or self.updates % 10 == 0 or self.updates in (1, self.total_updates):
            # fairseq's own figure is in bits; this is in nats
            loss = sum(log["loss"] for log in logging_outputs) / sum(log["sample_size"] for log in logging_outputs)
            norm = metrics.get_meter("train_inner", "gnorm").val
            self.job.step(
                self.updates, self.total_updates, loss=float(loss), learning_rate=self.rate, grad_norm=float(norm)
            )


class OfLikeLength(NestedDictionaryDataset):
    """Orders rows by length, and those of one length anew each epoch, as fairseq's LanguagePairDataset does."""

    def ordered_indices(self):
        indices = np.random.permutation(len(self))
        return indices[np.argsort(self.sizes[0][indices], kind="stable")]


@dataclass
class TextClassifierConfig(FairseqDataclass):
    encoder_layers: int = 12
    encoder_embed_dim: int = 768
    encoder_ffn_embed_dim: int = 3072
    encoder_attention_heads: int = 12
    encoder_learned_pos: bool = True
    layernorm_embedding: bool = True
    no_scale_embedding: bool = True
    activation_fn: str = "gelu"
    dropout: float = 0.1
    attention_dropout: float = 0.1
    max_positions: int = 512  # set by the task
    max_source_positions: int = 512
    segments: int = field(default=1, metadata={"help": "rows of the token-type embedding, which RoBERTa has one of"})
    layer_norm_eps: float = field(default=1e-5, metadata={"help": "fairseq's own is 1e-5; BERT's 1e-12"})
    pooling: str = field(default="cls", metadata={"help": "mean, over the unpadded positions, or cls"})
    freeze_word_embeddings: bool = False


@register_model("text_classifier", dataclass=TextClassifierConfig)
class TextClassifier(FairseqEncoderModel):
    """fairseq's TransformerEncoder, as in its RoBERTa, and classification heads."""

    def __init__(self, cfg, encoder):
        super().__init__(encoder)
        self.cfg, self.classification_heads = cfg, nn.ModuleDict()

    @classmethod
    def build_model(cls, cfg, task):
        embed_tokens = nn.Embedding(len(task.source_dictionary), cfg.encoder_embed_dim, task.source_dictionary.pad())
        embed_tokens.weight.requires_grad_(not cfg.freeze_word_embeddings)
        return cls(cfg, Encoder(cfg, task.source_dictionary, embed_tokens))

    def register_classification_head(self, name, num_classes):
        self.classification_heads[name] = Head(self.cfg, num_classes)
        for name, parameter in self.named_parameters():  # fairseq's composite optimizer goes by these groups
            part = "encoder" if name.startswith("encoder.") else "head"
            parameter.param_group = part if parameter.ndim > 1 else f"{part}_undecayed"  # biases and LayerNorm

    def forward(self, src_tokens, classification_head_name, **kwargs):
        """Token ids (rows, tokens) -> logits (rows, labels)."""
        hidden = self.encoder(src_tokens)["encoder_out"][0].transpose(0, 1)
        mask = src_tokens.ne(self.encoder.padding_idx)
        return self.classification_heads[classification_head_name](hidden, mask), None


class Encoder(TransformerEncoder):
    """With BERT's token-type embedding, a parameter of its own, and the eps that LayerNorm has no setting for."""

    def __init__(self, cfg, dictionary, embed_tokens):
        super().__init__(cfg, dictionary, embed_tokens)
        self.embed_segments = nn.Embedding(cfg.segments, cfg.encoder_embed_dim)
        for module in self.modules():
            if isinstance(module, nn.LayerNorm):
                module.eps = cfg.layer_norm_eps

    def forward_embedding(self, src_tokens, token_embedding=None):
        return super().forward_embedding(src_tokens, self.embed_tokens(src_tokens) + self.embed_segments.weight[0])


class Head(nn.Module):
    """Masked mean or first position -> dropout -> linear."""

    def __init__(self, cfg, num_classes):
        super().__init__()
        self.pooling, self.dropout = cfg.pooling, nn.Dropout(cfg.dropout)
        self.out_proj = nn.Linear(cfg.encoder_embed_dim, num_classes)

    def forward(self, hidden, mask):
        mask = mask.unsqueeze(-1).to(hidden.dtype)
        pooled = hidden[:, 0] if self.pooling == "cls" else (hidden * mask).sum(1) / mask.sum(1)
        return self.out_proj(self.dropout(pooled))


@register_optimizer("torch_adamw", dataclass=FairseqAdamConfig)
class TorchAdamW(FairseqAdam):
    """PyTorch's: fairseq's own adam adds epsilon before it corrects the second moment's bias."""

    def __init__(self, cfg, params):
        FairseqOptimizer.__init__(self, cfg)
        self._optimizer = torch.optim.AdamW(params, fused=True, **self.optimizer_config)
