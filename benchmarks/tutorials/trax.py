"""Trax as its own guide shows it: "Trax Quick Intro", docs/source/notebooks/trax_intro.ipynb of its repository.

A stream of examples, shuffled and put into buckets by length with many rows of the short ones, `trax.optimizers.Adam`,
a training task and an evaluation task, a Loop that runs a number of steps. There embeddings are learnt from nothing at
a rate of 0.01; here BERT from our weights has a head on the mean of its tokens, and Adam's default rate, 1e-4. The
epochs are the job's. An evaluation is of one batch, and there are no checkpoints, since they are no part of training.

`python benchmarks/tutorials/trax.py JOB.json OUT.npz`, with the environment of recipe=trax: saves the test split's
`logits` (rows, labels) and prints the seconds of the training.
"""

import sys
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

sys.path.pop(0)  # this folder: this file has the library's name
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import recipes.trax  # noqa: F401, I001 # what makes it run today
import numpy as np
import trax
from trax import layers as tl
from trax.supervised import training

from recipes.contract import frameworks
from recipes.contract.job import Dropout, Job
from recipes.contract.split import Split
from recipes.trax.encoder import ACTIVATIONS, TOKENS, encoder
from recipes.trax.model import masked_mean
from recipes.trax.weights import encoder_names, give
from recipes.weights.bert import read

LENGTH = 128

job = Job.read(Path(sys.argv[1]))
train, test = job.split("train"), job.split("test")
bert, values = read(job.weights, "fp32", ACTIVATIONS)


def example(split: Split, row: int) -> tuple[np.ndarray, np.ndarray]:
    ids = np.array(split.token_ids[row][:LENGTH], np.int32)
    return ids, np.ones_like(ids)


def examples(split: Split) -> Iterator[tuple[np.ndarray, ...]]:
    for row in count():
        loss_weight = np.float32(1)  # what its AddLossWeights adds to pairs
        yield *example(split, row % len(split)), np.int32(split.labels[row % len(split)]), loss_weight


data_pipeline = trax.data.Serial(
    trax.data.Shuffle(),
    trax.data.FilterByLength(max_length=2048, length_keys=[0]),
    trax.data.BucketByLength(boundaries=[32, 128, 512, 2048], batch_sizes=[256, 64, 16, 4, 1], length_keys=[0]),
)
train_batches_stream = data_pipeline(examples(train))
eval_batches_stream = data_pipeline(examples(job.split("valid")))

encoder_layers = tl.Serial(encoder(bert, values, Dropout(), mode="train"))
encoder_layers.init(TOKENS)
give(encoder_layers, encoder_names(bert.layers), values)
model = tl.Serial(
    tl.Select([0, 1, 1]),
    encoder_layers,
    tl.Fn("MaskedMean", masked_mean),
    tl.Dense(job.outputs),
)
head = model.sublayers[-1]
head.init(trax.shapes.ShapeDtype((1, values["words"].shape[1]), np.float32))

train_task = training.TrainTask(
    labeled_data=train_batches_stream,
    loss_layer=tl.WeightedCategoryCrossEntropy(),
    optimizer=trax.optimizers.Adam(),
    n_steps_per_checkpoint=500,
)
eval_task = training.EvalTask(
    labeled_data=eval_batches_stream,
    metrics=[tl.WeightedCategoryCrossEntropy(), tl.WeightedCategoryAccuracy()],
)
training_loop = training.Loop(model, train_task, eval_tasks=[eval_task], random_seed=job.seed)

start = time.perf_counter()
training_loop.run(max(1, job.train.epochs * len(train) // 256))
frameworks.wait()
seconds = time.perf_counter() - start

predict = tl.Accelerate(model)
logits = []
for row in range(0, len(test), 32):
    rows = [example(test, one % len(test))[0] for one in range(row, row + 32)]
    ids = np.array([np.pad(one, (0, LENGTH - len(one)), constant_values=bert.padding) for one in rows], np.int32)
    mask = np.array([np.arange(LENGTH) < len(one) for one in rows], np.int32)
    logits.append(np.asarray(predict((ids, mask)))[: len(test) - row])
np.savez(sys.argv[2], logits=np.concatenate(logits))
print(seconds)
