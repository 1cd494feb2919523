"""TensorFlow as its own guide shows it: "Multilayer perceptrons for digit recognition with Core APIs".

tensorflow.org/guide/core/mlp_core, site/en/guide/core/mlp_core.ipynb of tensorflow/docs.

The model's call is a graph, the step around it is not: Adam written out by hand at 1e-3 for all variables, batches of
128 rows in the order they lie in, no dropout. There a perceptron reads digits; here it is BERT from our weights with a
head on the mean of its tokens, and texts are padded to the longest of a batch, by tf.data. The epochs are the job's.

`python benchmarks/tutorials/tensorflow.py JOB.json OUT.npz`, with the environment of recipe=tensorflow: saves the test
split's `logits` (rows, labels) and prints the seconds of the training.
"""

import sys
import time
from pathlib import Path

sys.path.pop(0)  # this folder: this file has the library's name
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import tensorflow as tf

from recipes.contract import frameworks
from recipes.contract.job import Job
from recipes.contract.split import Split
from recipes.tensorflow.encoder import encoder_of

BATCH_SIZE = 128

job = Job.read(Path(sys.argv[1]))
tf.random.set_seed(job.seed)


def load(split: Split) -> tf.data.Dataset:
    token_ids = tf.RaggedTensor.from_row_splits(np.array(split.token_ids.values), np.array(split.token_ids.offsets))
    data = tf.data.Dataset.from_tensor_slices((token_ids, np.array(split.labels)))
    data = data.map(lambda ids, label: ((ids, tf.ones_like(ids)), label))
    padding = encoder.bert.padding
    return data.padded_batch(BATCH_SIZE, padding_values=((padding, 0), np.int32(0)))


def xavier_init(shape):
    in_dim, out_dim = shape
    xavier_lim = tf.sqrt(6.0) / tf.sqrt(tf.cast(in_dim + out_dim, tf.float32))
    return tf.random.uniform(shape=(in_dim, out_dim), minval=-xavier_lim, maxval=xavier_lim)


class DenseLayer(tf.Module):
    def __init__(self, in_dim, out_dim):
        self.w = tf.Variable(xavier_init(shape=(in_dim, out_dim)))
        self.b = tf.Variable(tf.zeros(shape=(out_dim,)))

    def __call__(self, x):
        return tf.add(tf.matmul(x, self.w), self.b)


class Classifier(tf.Module):
    def __init__(self, encoder, head):
        self.encoder, self.head = encoder, head

    @tf.function
    def __call__(self, x):
        ids, mask = x
        share = tf.cast(mask, tf.float32)[:, :, None]
        pooled = tf.reduce_sum(self.encoder(ids, mask) * share, 1) / tf.reduce_sum(share, 1)
        return self.head(pooled)


def cross_entropy_loss(y_pred, y):
    sparse_ce = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=y_pred)
    return tf.reduce_mean(sparse_ce)


def accuracy(y_pred, y):
    class_preds = tf.argmax(tf.nn.softmax(y_pred), axis=1, output_type=y.dtype)
    is_equal = tf.equal(y, class_preds)
    return tf.reduce_mean(tf.cast(is_equal, tf.float32))


class Adam:
    def __init__(self, learning_rate=1e-3, beta_1=0.9, beta_2=0.999, ep=1e-7):
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.learning_rate = learning_rate
        self.ep = ep
        self.t = 1.0
        self.v_dvar, self.s_dvar = [], []
        self.built = False

    def apply_gradients(self, grads, variables):
        if not self.built:
            for var in variables:
                self.v_dvar.append(tf.Variable(tf.zeros(shape=var.shape)))
                self.s_dvar.append(tf.Variable(tf.zeros(shape=var.shape)))
            self.built = True
        for i, (d_var, var) in enumerate(zip(grads, variables, strict=True)):
            self.v_dvar[i].assign(self.beta_1 * self.v_dvar[i] + (1 - self.beta_1) * d_var)
            self.s_dvar[i].assign(self.beta_2 * self.s_dvar[i] + (1 - self.beta_2) * tf.square(d_var))
            v_dvar_bc = self.v_dvar[i] / (1 - (self.beta_1**self.t))
            s_dvar_bc = self.s_dvar[i] / (1 - (self.beta_2**self.t))
            var.assign_sub(self.learning_rate * (v_dvar_bc / (tf.sqrt(s_dvar_bc) + self.ep)))
        self.t += 1.0


def train_step(x_batch, y_batch, loss, acc, model, optimizer):
    with tf.GradientTape() as tape:
        y_pred = model(x_batch)
        batch_loss = loss(y_pred, y_batch)
    batch_acc = acc(y_pred, y_batch)
    grads = [tf.convert_to_tensor(grad) for grad in tape.gradient(batch_loss, model.variables)]  # not word by word
    optimizer.apply_gradients(grads, model.variables)
    return batch_loss, batch_acc


encoder = encoder_of(job.weights, "fp32")
model = Classifier(encoder, DenseLayer(encoder.positions.shape[1], job.outputs))
optimizer, train_data = Adam(), load(job.split("train"))
start = time.perf_counter()
for epoch in range(job.train.epochs):
    batch_losses_train, batch_accs_train = [], []
    for x_batch, y_batch in train_data:
        batch_loss, batch_acc = train_step(x_batch, y_batch, cross_entropy_loss, accuracy, model, optimizer)
        batch_losses_train.append(batch_loss)
        batch_accs_train.append(batch_acc)
    train_loss, train_acc = tf.reduce_mean(batch_losses_train), tf.reduce_mean(batch_accs_train)
    print(f"Epoch: {epoch}")
    print(f"Training loss: {train_loss:.3f}, Training accuracy: {train_acc:.3f}")
frameworks.wait()
seconds = time.perf_counter() - start

np.savez(sys.argv[2], logits=np.concatenate([model(x_batch).numpy() for x_batch, _ in load(job.split("test"))]))
print(seconds)
