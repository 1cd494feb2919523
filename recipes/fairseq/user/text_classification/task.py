"""A task over the job's token ids: its rows, its batches, its reports."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from fairseq.data import (
    Dictionary,
    FairseqDataset,
    ListDataset,
    NestedDictionaryDataset,
    NumelDataset,
    RawLabelDataset,
    RightPadDataset,
)
from fairseq.logging import metrics
from fairseq.tasks import register_task
from fairseq.tasks.sentence_prediction import SentencePredictionConfig, SentencePredictionTask

from recipes.contract.job import Job
from recipes.contract.split import Split
from recipes.contract.tasks import IGNORED


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
            "target": targets(rows),
            "ntokens": NumelDataset(tokens, reduce=True),
        }
        self.datasets[split] = OfLikeLength(parts, sizes=[rows.lengths])

    def optimizer_step(self, optimizer, model, update_num):
        self.rate = optimizer.get_lr()  # of this step: the schedule has moved on when the metrics are reduced
        super().optimizer_step(optimizer, model, update_num)

    def reduce_metrics(self, logging_outputs, criterion):
        super().reduce_metrics(logging_outputs, criterion)
        self.updates += 1
        if self.job.reports(self.updates, self.total_updates):
            # fairseq's own figure is in bits; this is in nats
            loss = sum(log["loss"] for log in logging_outputs) / sum(log["sample_size"] for log in logging_outputs)
            norm = metrics.get_meter("train_inner", "gnorm").val
            self.job.step(
                self.updates, self.total_updates, loss=float(loss), learning_rate=self.rate, grad_norm=float(norm)
            )


def targets(rows: Split) -> FairseqDataset:
    """Return the labels of a split as a dataset; tags are padded as their tokens are."""
    if rows.task.name == "tagging":
        tags = [torch.tensor(rows.labels[row], dtype=torch.long) for row in range(len(rows))]
        return RightPadDataset(ListDataset(tags, rows.lengths), IGNORED)
    if rows.task.name == "regression":
        return RawLabelDataset(list(rows.labels.astype(np.float64)))  # or the Trainer halves them too
    return RawLabelDataset(rows.labels.tolist())


class OfLikeLength(NestedDictionaryDataset):
    """Orders rows by length, and those of one length anew each epoch, as fairseq's LanguagePairDataset does."""

    def ordered_indices(self):
        indices = np.random.permutation(len(self))
        return indices[np.argsort(self.sizes[0][indices], kind="stable")]
