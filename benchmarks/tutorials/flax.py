"""Flax as its own guide shows it: the "MNIST tutorial" of NNX, flax.readthedocs.io/en/latest/mnist_tutorial.html.

Two views of one model, with dropout and without; batches of 32 from a generator, the last incomplete one dropped; one
compiled step that changes model, optimizer and metrics in place, nothing donated; AdamW without a schedule for all
parameters; loss and accuracy told every 200 steps. There a small network learns from nothing, at 0.005; here it is
BERT from our weights with a head on the mean of its tokens, rows of 128 tokens, at the 0.001 that Flax's own guide to a
transformer, "miniGPT", takes. The epochs are the job's.

`python benchmarks/tutorials/flax.py JOB.json OUT.npz`, with the environment of recipe=flax: saves the test split's
`logits` (rows, labels) and prints the seconds of the training.
"""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.pop(0)  # this folder: this file has the library's name
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import jax
import numpy as np
import optax
from flax import nnx

from recipes.contract import frameworks
from recipes.contract.job import Dropout, Job
from recipes.contract.split import Split
from recipes.flax.encoder import encoder_of

BATCH_SIZE, LENGTH, EVAL_EVERY = 32, 128, 200
LEARNING_RATE, MOMENTUM = 0.001, 0.9

job = Job.read(Path(sys.argv[1]))
train, test = job.split("train"), job.split("test")


def batch_of(split: Split, rows: np.ndarray) -> dict[str, np.ndarray]:
    kept = [split.token_ids[row][:LENGTH] for row in np.resize(rows, BATCH_SIZE)]
    ids = np.array([np.pad(row, (0, LENGTH - len(row)), constant_values=padding) for row in kept], np.int32)
    mask = np.array([np.arange(LENGTH) < len(row) for row in kept], np.int32)
    return {"ids": ids, "mask": mask, "labels": np.array(split.labels[np.resize(rows, BATCH_SIZE)])}


def make_batches(order: np.ndarray) -> Iterator[dict[str, np.ndarray]]:
    for start in range(0, len(order), BATCH_SIZE):
        rows = order[start : start + BATCH_SIZE]
        if len(rows) < BATCH_SIZE:
            break
        yield batch_of(train, rows)


class Model(nnx.Module):
    def __init__(self, *, rngs: nnx.Rngs):
        self.encoder = encoder_of(job.weights, "fp32", Dropout(hidden=0.025, attention=0.025))
        self.dropout = nnx.Dropout(rate=0.025)
        self.linear = nnx.Linear(self.encoder.norm.num_features, job.outputs, rngs=rngs)

    def __call__(self, batch, rngs: nnx.Rngs | None = None) -> jax.Array:
        hidden = self.encoder(batch["ids"], batch["mask"], rngs)
        pooled = hidden.mean(1, where=batch["mask"][:, :, None] == 1)
        return self.linear(self.dropout(pooled, rngs=rngs))


model = Model(rngs=nnx.Rngs(job.seed))
padding = model.encoder.bert.padding
optimizer = nnx.Optimizer(model, optax.adamw(LEARNING_RATE, MOMENTUM), wrt=nnx.Param)
metrics = nnx.MultiMetric(accuracy=nnx.metrics.Accuracy(), loss=nnx.metrics.Average("loss"))


def loss_fn(model: Model, batch, rngs: nnx.Rngs | None = None):
    logits = model(batch, rngs)
    loss = optax.softmax_cross_entropy_with_integer_labels(logits=logits, labels=batch["labels"]).mean()
    return loss, logits


@nnx.jit
def train_step(model: Model, optimizer: nnx.Optimizer, metrics: nnx.MultiMetric, rngs: nnx.Rngs, batch) -> None:
    grad_fn = nnx.value_and_grad(loss_fn, has_aux=True)
    (loss, logits), grads = grad_fn(model, batch, rngs)
    metrics.update(loss=loss, logits=logits, labels=batch["labels"])
    optimizer.update(model, grads)


@nnx.jit
def pred_step(model: Model, batch) -> jax.Array:
    return model(batch, None)


train_model = nnx.view(model, deterministic=False)
eval_model = nnx.view(model, deterministic=True)
rngs = nnx.Rngs(0)
step = 0
start = time.perf_counter()
for epoch in range(job.train.epochs):
    for batch in make_batches(np.random.default_rng([job.seed, epoch]).permutation(len(train))):
        train_step(train_model, optimizer, metrics, rngs, batch)
        step += 1
        if step % EVAL_EVERY == 0:
            print(step, *(f"{name}: {value}" for name, value in metrics.compute().items()), sep="\t")
            metrics.reset()
frameworks.wait()
seconds = time.perf_counter() - start

parts = [np.arange(first, min(first + BATCH_SIZE, len(test))) for first in range(0, len(test), BATCH_SIZE)]
logits = [np.asarray(pred_step(eval_model, batch_of(test, rows)))[: len(rows)] for rows in parts]
np.savez(sys.argv[2], logits=np.concatenate(logits))
print(seconds)
