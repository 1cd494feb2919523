"""Sonnet as its own example shows it: "VQ-VAE training example", examples/vqvae_example.ipynb of its repository.

Modules of modules, tf.data with shuffled, repeated batches of 32, `snt.optimizers.Adam` at 3e-4 for all variables, one
tf.function for the step, the means of 100 steps told. There images are encoded and made again; here BERT from our
weights has a head on the mean of its tokens, and rows are padded to 128 tokens. The epochs are the job's.

`python benchmarks/tutorials/sonnet.py JOB.json OUT.npz`, with the environment of recipe=sonnet: saves the test split's
`logits` (rows, labels) and prints the seconds of the training.
"""

import sys
import time
from pathlib import Path

sys.path.pop(0)  # this folder: this file has the library's name
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import sonnet as snt
import tensorflow as tf

from recipes.contract import frameworks
from recipes.contract.job import Dropout, Job
from recipes.contract.split import Split
from recipes.sonnet.encoder import Encoder, encoder_of

LENGTH = 128

job = Job.read(Path(sys.argv[1]))
train_split, test_split = job.split("train"), job.split("test")
encoder = encoder_of(job.weights, "fp32", Dropout())


def data_dict(split: Split) -> dict[str, np.ndarray]:
    kept = [ids[:LENGTH] for ids in split.token_ids]
    ids = np.array(
        [np.pad(row, (0, LENGTH - len(row)), constant_values=encoder.bert.padding) for row in kept], np.int32
    )
    mask = np.array([np.arange(LENGTH) < len(row) for row in kept], np.int32)
    return {"ids": ids, "mask": mask, "label": np.array(split.labels)}


class ClassifierModel(snt.Module):
    def __init__(self, encoder: Encoder, classes: int, name=None):
        super().__init__(name=name)
        self._encoder = encoder
        self._head = snt.Linear(classes, name="head")

    def __call__(self, ids, mask, labels):
        mask_of_numbers = tf.cast(mask, tf.float32)[:, :, tf.newaxis]
        hidden = self._encoder(ids, mask) * mask_of_numbers
        logits = self._head(tf.reduce_sum(hidden, 1) / tf.reduce_sum(mask_of_numbers, 1))
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits))
        accuracy = tf.reduce_mean(tf.cast(tf.equal(tf.argmax(logits, 1, tf.int32), labels), tf.float32))
        return {"logits": logits, "loss": loss, "accuracy": accuracy}


# Set hyper-parameters.
batch_size = 32
num_training_updates = job.train.epochs * len(train_split) // batch_size
learning_rate = 3e-4

# Data loading.
train_dataset = (
    tf.data.Dataset.from_tensor_slices(data_dict(train_split))
    .shuffle(10000, seed=job.seed)
    .repeat(-1)  # repeat indefinitely
    .batch(batch_size, drop_remainder=True)
    .prefetch(-1)
)
test_dataset = tf.data.Dataset.from_tensor_slices(data_dict(test_split)).batch(batch_size).prefetch(-1)

# Build modules.
tf.random.set_seed(job.seed)
model = ClassifierModel(encoder, job.outputs)
optimizer = snt.optimizers.Adam(learning_rate=learning_rate)


@tf.function
def train_step(data):
    with tf.GradientTape() as tape:
        model_output = model(data["ids"], data["mask"], data["label"])
    trainable_variables = model.trainable_variables
    grads = tape.gradient(model_output["loss"], trainable_variables)
    optimizer.apply(grads, trainable_variables)
    return model_output


train_losses = []
train_accuracies = []
start = time.perf_counter()
for step_index, data in enumerate(train_dataset.take(num_training_updates)):
    train_results = train_step(data)
    train_losses.append(train_results["loss"])
    train_accuracies.append(train_results["accuracy"])
    if (step_index + 1) % 100 == 0:
        print(
            f"{step_index + 1} train loss: {np.mean(train_losses[-100:]):f} "
            + f"accuracy: {np.mean(train_accuracies[-100:]):.3f}"
        )
frameworks.wait()
seconds = time.perf_counter() - start

predict = tf.function(model)
logits = [predict(data["ids"], data["mask"], data["label"])["logits"].numpy() for data in test_dataset]
np.savez(sys.argv[2], logits=np.concatenate(logits))
print(seconds)
