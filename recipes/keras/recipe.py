"""Keras 3 with KerasHub: `fit` owns the loop, you give it a functional model, an optimizer and data.

Pick it to take one model from TensorFlow to JAX or PyTorch, or where TensorFlow is to serve it.
"""

import os
from functools import partial
from importlib.util import find_spec

import numpy as np

from recipes import weights
from recipes.contract.job import Batch, Hidden, Job, Predict
from recipes.keras.weights import from_keras

# Before it is imported, Keras is told its backend (each environment of this recipe has one), and JAX its threads.
os.environ.setdefault("KERAS_BACKEND", next(name for name in ("jax", "torch", "tensorflow") if find_spec(name)))
os.environ.setdefault("PJRT_NPROC", os.environ.get("OMP_NUM_THREADS", ""))
if os.environ["KERAS_BACKEND"] == "torch":
    import torch

    os.environ["KERAS_TORCH_DEVICE"] = "cuda" if torch.cuda.is_available() else "cpu"  # not Apple's GPU of itself
import keras  # noqa: E402
from keras import ops  # noqa: E402

from recipes.keras.callbacks import Report  # noqa: E402
from recipes.keras.encoder import BACKEND, AdamW, WarmupThenLinear, encoder_of, feed, prepare, scope_of  # noqa: E402


def finetune(job: Job) -> Predict:
    settings, epochs, accumulate = job.settings, job.train.epochs, job.train.accumulate
    prepare(job)
    scope = scope_of(job)
    with job.phase("load_weights"), scope():
        encoder, config = encoder_of(job, job.weights)
        model = build(job, encoder, job.head() if job.controlled else None)
        encoder.get_layer("token_embedding").trainable = not settings["freeze_word_embeddings"]
        job.event("model", parameters=model.count_params())
    with job.phase("build_data"):
        padding = config["pad_token_id"]
        whole = job.processes == accumulate == 1  # buckets give no epoch of whole steps of several batches
        native = BACKEND == "tensorflow" and not job.controlled and whole
        data = partial(buckets if native else Batches, job, padding)  # of an epoch
        size = len(data(0))
        steps = epochs * size // accumulate
    with job.phase("train"), scope():
        optimizer = AdamW(WarmupThenLinear(job, steps), job)
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
        optimizer.build(model.trainable_variables)  # or TensorFlow would trace the step twice
        model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        report, predict = Report(job, steps, size), predictor(model, padding)
        first, done = divmod(report.restore(model), size)
        for epoch in range(first, epochs):  # a call of `fit` each: where it goes on within one, of what is left
            left = feed(data(epoch).skip(done if epoch == first else 0))
            model.fit(left, initial_epoch=epoch, epochs=epoch + 1, shuffle=False, verbose=0, callbacks=[report])
            job.epoch_ended(lambda: predict)
    with job.phase("save"):
        (job.model / "keras").mkdir(parents=True)
        keras.Model(model.input, model.output).save(job.model / "keras" / "model.keras")  # without the optimizer
        trained = {weight.path: ops.convert_to_numpy(weight) for weight in encoder.weights}
        kernel, bias = model.get_layer("head").get_weights()
        weights.write(job, from_keras(config, trained), {"weight": kernel.T, "bias": bias})
    return load(job) if job.processes > 1 else predict  # one device predicts


def build(job: Job, encoder: keras.Model, head: weights.Head | None) -> keras.Model:
    """Return the encoder with a head: the one given, or a new one."""
    inputs = {name: keras.Input((None,), dtype="int32", name=name) for name in ("token_ids", "padding_mask")}
    hidden = encoder({**inputs, "segment_ids": ops.zeros_like(inputs["token_ids"])})
    if job.pooling == "cls":
        pooled = hidden[:, 0]
    else:
        pooled = keras.layers.GlobalAveragePooling1D(dtype="float32")(hidden, mask=inputs["padding_mask"])
    dense = keras.layers.Dense(len(job.labels), dtype="float32", name="head")
    model = keras.Model(inputs, dense(keras.layers.Dropout(job.dropout.hidden, dtype="float32")(pooled)))
    if head:
        weight, bias = head
        dense.set_weights([weight.T, bias])
    return model


def buckets(job: Job, padding: int, epoch: int):
    """Return an epoch's batches of texts of like length: tf.data's buckets."""
    import tensorflow as tf  # the other backends do without

    split, size, boundaries = job.split("train"), job.train.batch_size, job.settings["bucket_boundaries"]
    rows = tf.RaggedTensor.from_row_splits(np.array(split.token_ids.values), np.array(split.token_ids.offsets))
    data = tf.data.Dataset.from_tensor_slices((rows, np.array(split.labels)))
    data = data.shuffle(len(split), seed=epoch)  # beside the job's seed, which is TensorFlow's global one
    data = data.map(lambda ids, label: ({"token_ids": ids, "padding_mask": tf.ones_like(ids)}, label))
    data = data.bucket_by_sequence_length(
        lambda inputs, label: tf.size(inputs["token_ids"]),
        boundaries,
        [size] * (len(boundaries) + 1),
        padding_values=({"token_ids": padding, "padding_mask": 0}, 0),
    )
    counts = np.bincount(np.digitize(split.lengths, boundaries))
    return data.apply(tf.data.experimental.assert_cardinality(int(np.ceil(counts / size).sum())))


class Batches(keras.utils.PyDataset):
    """The same for JAX, PyTorch, several devices and batches; controlled, on all backends: the batches of the job.

    Each is for all devices: one that cannot be divided is filled up with rows of no weight.
    """

    def __init__(self, job: Job, padding: int, epoch: int):
        super().__init__()
        self.job, self.split, self.padding, self.first = job, job.split("train"), padding, 0
        self.rows = job.batches(job.order(epoch))

    def skip(self, count: int):
        """Leave out the first batches, as tf.data's does."""
        self.first, self.rows = self.first + count, self.rows[count:]
        return self

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        rows, accumulate, devices = self.rows[index], self.job.train.accumulate, self.job.processes
        missing = -len(rows) % devices
        filled = np.append(rows, rows[:1].repeat(missing))
        inputs = pad([self.split.token_ids[row] for row in filled], self.padding)
        if accumulate == devices == 1:
            return inputs, self.split.labels[rows]
        step = self.job.rows_in_step((self.first + index) // accumulate, len(self.split))
        share = (np.arange(len(filled)) < len(rows)) * np.float32(accumulate * len(filled) / max(step, accumulate))
        return inputs, self.split.labels[filled], share  # for the optimizer, which takes the plain mean over batches


def pad(rows: list[np.ndarray], value: int) -> dict[str, np.ndarray]:
    """Pad token ids to the longest row: token_ids and padding_mask (rows, tokens), int32."""
    multiple = 8 if BACKEND == "jax" else 1  # JAX compiles for each shape
    longest = -(-max(len(row) for row in rows) // multiple) * multiple
    ids = np.array([np.pad(row, (0, longest - len(row)), constant_values=value) for row in rows], np.int32)
    return {"token_ids": ids, "padding_mask": np.array([np.arange(longest) < len(row) for row in rows], np.int32)}


def load(job: Job) -> Predict:
    """Return the function that predicts, from the Hugging Face folder: Keras' own file names code to be run."""
    encoder, config = encoder_of(job, job.model)
    return predictor(build(job, encoder, weights.read_head(job.model)), config["pad_token_id"])


def predictor(model: keras.Model, padding: int) -> Predict:
    """Return the function that predicts with `model`, in the precision it was built in."""
    run = model.predict_on_batch
    if BACKEND == "tensorflow":  # one graph for all shapes: in bf16 another graph would round otherwise
        import tensorflow as tf

        shapes = {name: tf.TensorSpec((None, None), tf.int32) for name in ("token_ids", "padding_mask")}
        run = tf.function(partial(model, training=False), input_signature=[shapes])

    def predict(batch: Batch) -> np.ndarray:
        return np.asarray(run(pad(batch.token_ids, padding)))

    return predict


def hidden_states(job: Job) -> Hidden:
    """Return the encoder before training, as a function."""
    encoder, config = encoder_of(job, job.weights)

    def hidden(batch: Batch, training: bool) -> np.ndarray:
        inputs = pad(batch.token_ids, config["pad_token_id"])
        segments = np.zeros_like(inputs["token_ids"])
        return ops.convert_to_numpy(encoder({**inputs, "segment_ids": segments}, training=training))

    return hidden
