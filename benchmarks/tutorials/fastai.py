"""fastai as its own tutorials show it: "Transformers", docs.fast.ai/tutorial.transformers (version 2.8), with the data
of "Transfer learning in text", docs.fast.ai/tutorial.text.

The first brings a model of transformers into the Learner (a Transform that tokenises, DropOutput, `to_fp16`, one cycle
at 1e-4), but trains GPT-2 to continue texts; the second classifies, but with fastai's own AWD-LSTM and its weights. So:
the model and loop of the first, the batches of the second (64 texts of like length, padded to the longest, the last
batch left out; mixed precision is CUDA's alone, so fp32 on a CPU). The epochs are the job's, texts are cut at 128
tokens, and the validation after each epoch is left out of the time that is measured.
"""

import sys
import time
from functools import partial
from operator import itemgetter
from pathlib import Path

sys.path.pop(0)  # this folder: this file has the library's name
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import fastai.callback.all  # noqa: F401  adds fit_one_cycle and to_fp16 to Learner
import numpy as np
import torch
from fastai.basics import Callback, CrossEntropyLossFlat, Datasets, Learner, Transform, noop, set_seed, tensor
from fastai.text.data import SortedDL, pad_input
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from recipes.contract import frameworks
from recipes.contract.job import Job

job = Job.read(Path(sys.argv[1]))
set_seed(job.seed)
tokenizer = AutoTokenizer.from_pretrained(job.weights)


class TransformersTokenizer(Transform):
    def encodes(self, text: str):
        return tensor(tokenizer(text, truncation=True, max_length=128)["input_ids"])


class DropOutput(Callback):
    def after_pred(self):
        self.learn.pred = self.pred[0]


class Masked(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, ids):
        return self.model(ids, attention_mask=(ids != tokenizer.pad_token_id).long())


def items_of(name):
    split = job.split(name)
    return [{"text": split.text(row), "label": int(label)} for row, label in enumerate(split.labels)]


items = items_of("train")
datasets = Datasets(
    items,
    [[itemgetter("text"), TransformersTokenizer()], [itemgetter("label"), tensor]],
    splits=[range(len(items)), []],
)
dls = datasets.dataloaders(
    bs=64,
    dl_type=SortedDL,
    dl_kwargs=[{"res": [len(item[0]) for item in datasets.train]}, {}],
    before_batch=partial(pad_input, pad_idx=tokenizer.pad_token_id),
)
model = AutoModelForSequenceClassification.from_pretrained(job.weights, num_labels=len(job.labels), dtype=torch.float32)
learn = Learner(dls, Masked(model), loss_func=CrossEntropyLossFlat(), cbs=[DropOutput]).to_fp16()
with learn.no_bar(), learn.no_logging():
    start = time.perf_counter()
    learn.fit_one_cycle(job.train.epochs, 1e-4)
    frameworks.wait()
    seconds = time.perf_counter() - start
    logits, _ = learn.get_preds(dl=dls.test_dl(items_of("test"), with_labels=True), act=noop)
np.savez(sys.argv[2], logits=logits.numpy())
print(seconds)
