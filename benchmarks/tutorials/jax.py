"""JAX as its own guide shows it: "The Training Cookbook", docs.jax.dev/en/latest/the-training-cookbook.html.

One compiled step of parameters and Adam's moments, all kept in references and changed in place, Adam written out by
hand at 1e-4 for all parameters, batches of 16 rows of 128 tokens, each loss told one step late. There a decoder learns
the next token from nothing, in bfloat16; here it is BERT from our weights with a head on the mean of its tokens, in
fp32: a step of 1e-4 would be lost in rounding to bfloat16. The epochs are the job's, rows come in another order each.

`python benchmarks/tutorials/jax.py JOB.json OUT.npz`, with the environment of recipe=jax: saves the test split's
`logits` (rows, labels) and prints the seconds of the training.
"""

import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

sys.path.pop(0)  # this folder: this file has the library's name
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import jax
import jax.numpy as jnp
import numpy as np

from recipes.contract import frameworks
from recipes.contract.job import Job
from recipes.contract.split import Split
from recipes.jax.encoder import encode, encoder_of

BATCH_SIZE, LENGTH = 16, 128
LEARNING_RATE, BETA_1, BETA_2, EPSILON = 1e-4, 0.9, 0.999, 1e-8

job = Job.read(Path(sys.argv[1]))
train, test = job.split("train"), job.split("test")
encoder, bert = encoder_of(job.weights, "fp32")


def batch_of(split: Split, rows: np.ndarray) -> dict[str, np.ndarray]:
    kept = [split.token_ids[row][:LENGTH] for row in np.resize(rows, BATCH_SIZE)]
    ids = np.array([np.pad(row, (0, LENGTH - len(row)), constant_values=bert.padding) for row in kept], np.int32)
    mask = np.array([np.arange(LENGTH) < len(row) for row in kept], np.int32)
    return {"ids": ids, "mask": mask, "labels": np.array(split.labels[np.resize(rows, BATCH_SIZE)])}


def dataset() -> Iterator[dict[str, jax.Array]]:
    for epoch in range(job.train.epochs):
        order = np.random.default_rng([job.seed, epoch]).permutation(len(train))
        for start in range(0, len(order), BATCH_SIZE):
            yield jax.device_put(batch_of(train, order[start : start + BATCH_SIZE]))


def init_params() -> dict:
    size = encoder["positions"].shape[1]
    kernel = jax.nn.initializers.he_normal()(jax.random.key(job.seed), (size, job.outputs))
    return {**jax.tree.map(jnp.asarray, encoder), "head": {"kernel": kernel, "bias": jnp.zeros(job.outputs)}}


def model_apply(params: dict, batch: dict) -> jax.Array:
    hidden = encode(params, bert, batch["ids"], batch["mask"])
    pooled = hidden.mean(1, where=batch["mask"][:, :, None] == 1)
    return pooled @ params["head"]["kernel"] + params["head"]["bias"]


def init_adam_state(param: jax.Array) -> dict:
    return {"mu": jnp.zeros_like(param), "nu": jnp.zeros_like(param), "count": jnp.array(0)}


def adam_update(param, grad, adam_state) -> None:
    adam_state["mu"][...] = BETA_1 * adam_state["mu"][...] + (1 - BETA_1) * grad
    adam_state["nu"][...] = BETA_2 * adam_state["nu"][...] + (1 - BETA_2) * grad**2
    adam_state["count"][...] += 1
    mu_hat = adam_state["mu"][...] / (1 - BETA_1 ** adam_state["count"][...])
    nu_hat = adam_state["nu"][...] / (1 - BETA_2 ** adam_state["count"][...])
    param[...] -= LEARNING_RATE * mu_hat / (jnp.sqrt(nu_hat) + EPSILON)


@jax.jit
def train_step(train_state: dict, batch: dict) -> dict:
    def loss_fn(params):
        labels = jax.nn.one_hot(batch["labels"], job.outputs)
        return -(labels * jax.nn.log_softmax(model_apply(params, batch))).sum(axis=-1).mean()

    params = jax.tree.map(jax.ref.get, train_state["params"])
    loss, grad = jax.value_and_grad(loss_fn)(params)
    jax.tree.map(adam_update, train_state["params"], grad, train_state["opt"])
    return {"train_loss": loss}


class RecordWriter:
    prev_metrics = None

    def __call__(self, cur_metrics: dict) -> None:
        self.prev_metrics, log_metrics = cur_metrics, self.prev_metrics
        if log_metrics is not None:
            print(*(f"{name}: {value}" for name, value in log_metrics.items()), sep="\t")


params = init_params()
train_state = {"params": params, "opt": jax.tree.map(init_adam_state, params)}
train_state = jax.tree.map(jax.ref.new_ref, train_state)
record_writer = RecordWriter()
start = time.perf_counter()
for step, batch in enumerate(dataset()):
    record_writer({"step": step, **train_step(train_state, batch)})
frameworks.wait()
seconds = time.perf_counter() - start

predict = jax.jit(partial(model_apply, jax.tree.map(jax.ref.get, train_state["params"])))
parts = [np.arange(first, min(first + BATCH_SIZE, len(test))) for first in range(0, len(test), BATCH_SIZE)]
logits = [np.asarray(predict(batch_of(test, rows)))[: len(rows)] for rows in parts]
np.savez(sys.argv[2], logits=np.concatenate(logits))
print(seconds)
