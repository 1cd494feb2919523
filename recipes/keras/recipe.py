"""Keras 3 with KerasHub: `fit` owns the loop, you give it a functional model, an optimizer and data.

Pick it to take one model from TensorFlow to JAX or PyTorch, or where TensorFlow is to serve it.

After Keras' own examples/nlp/semantic_similarity_with_keras_hub.py (AdamW that warms up, `compile`, `fit`) and
examples/nlp/data_parallel_training_with_keras_hub.py (several devices: all within their scope).
"""

from collections.abc import Callable
from functools import partial

import keras
import numpy as np
from keras import ops

from recipes import weights
from recipes.contract.job import Batch, Job, Predict
from recipes.contract.schedule import warmup_steps
from recipes.contract.split import rows_of
from recipes.keras.callbacks import Report
from recipes.keras.data import batches, pad
from recipes.keras.devices import BACKEND, prepare
from recipes.keras.encoder import encoder_of
from recipes.keras.losses import LOSSES
from recipes.keras.optimizer import AdamW, scaled
from recipes.keras.weights import from_keras


def adamw(job: Job, steps: int) -> keras.optimizers.Optimizer:
    """Return the optimizer: the rate rises, then falls along a cosine; no decay on biases and LayerNorm."""
    settings, accumulate = job.settings, job.train.accumulate
    rate, rising = settings["learning_rate"], warmup_steps(settings["warmup"], steps)
    schedule = keras.optimizers.schedules.CosineDecay(  # counts batches, and the first is not at 0
        rate / (rising + 1), (steps - rising) * accumulate, warmup_target=rate, warmup_steps=rising * accumulate
    )
    optimizer = AdamW(
        schedule,
        settings["weight_decay"],
        *settings["betas"],
        settings["epsilon"],
        global_clipnorm=settings["max_grad_norm"],
        gradient_accumulation_steps=accumulate if accumulate > 1 else None,
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return scaled(job, optimizer)


def build(job: Job, encoder: keras.Model) -> keras.Model:
    """Return the encoder with a new head."""
    inputs = {name: keras.Input((None,), dtype="int32", name=name) for name in ("token_ids", "padding_mask")}
    hidden = encoder({**inputs, "segment_ids": ops.zeros_like(inputs["token_ids"])})
    if job.pooling == "cls":
        hidden = hidden[:, 0]
    elif job.pooling == "mean":
        hidden = keras.layers.GlobalAveragePooling1D(dtype="float32")(hidden, mask=inputs["padding_mask"])
    head = keras.layers.Dense(job.outputs, dtype="float32", name="head")
    return keras.Model(inputs, head(keras.layers.Dropout(job.dropout.hidden, dtype="float32")(hidden)))


def finetune(
    job: Job,
    build: Callable[[Job, keras.Model], keras.Model] = build,
    batches: Callable = batches,
    adamw: Callable[[Job, int], keras.optimizers.Optimizer] = adamw,
    report: type[Report] = Report,
) -> Predict:
    epochs, scope, progress = job.train.epochs, prepare(job), report(job)
    with job.phase("load_weights"), scope():
        encoder, config = encoder_of(job, job.weights)
        model = build(job, encoder)
        encoder.get_layer("token_embedding").trainable = not job.settings["freeze_word_embeddings"]
        job.event("model", parameters=model.count_params())
    with job.phase("build_data"):
        data = batches(job, config["pad_token_id"], progress)
        size = len(data)
        steps = epochs * size // job.train.accumulate
    with job.phase("train"), scope():
        optimizer = adamw(job, steps)
        optimizer.build(model.trainable_variables)  # or TensorFlow would trace the step twice
        model.compile(optimizer, LOSSES[job.task.name](), jit_compile=job.compile != "none")
        predict = predictor(model, config["pad_token_id"])
        ended = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: job.epoch_ended(lambda: predict))
        fit = partial(model.fit, shuffle=False, verbose=0, callbacks=[progress, ended])
        epoch, done = progress.restore(model, size, steps)
        if done:  # it was cut off within an epoch: what is left of that comes first
            fit(data.skip(done), initial_epoch=epoch, epochs=epoch + 1)
        fit(data, initial_epoch=epoch + bool(done), epochs=epochs)
    with job.phase("save"):
        (job.model / "keras").mkdir(parents=True)
        keras.Model(model.input, model.output).save(job.model / "keras" / "model.keras")  # without the optimizer
        trained = {weight.path: ops.convert_to_numpy(weight) for weight in encoder.weights}
        kernel, bias = model.get_layer("head").get_weights()
        weights.write(job, from_keras(config, trained), {"weight": kernel.T, "bias": bias})
    return load(job) if job.processes > 1 else predict  # one device predicts


def load(job: Job) -> Predict:
    """Return the function that predicts, from the Hugging Face folder: Keras' own file names code to be run."""
    encoder, config = encoder_of(job, job.model)
    model = build(job, encoder)
    weight, bias = weights.read_head(job.model)
    model.get_layer("head").set_weights([weight.T, bias])
    return predictor(model, config["pad_token_id"])


def predictor(model: keras.Model, padding: int) -> Predict:
    """Return the function that predicts with `model`, in the precision it was built in."""
    run = model.predict_on_batch
    if BACKEND == "tensorflow":  # one graph for all shapes: in bf16 another graph would round otherwise
        import tensorflow as tf

        shapes = {name: tf.TensorSpec((None, None), tf.int32) for name in ("token_ids", "padding_mask")}
        run = tf.function(partial(model, training=False), input_signature=[shapes])

    def predict(batch: Batch) -> np.ndarray | list[np.ndarray]:
        return rows_of(np.asarray(run(pad(batch.token_ids, padding))), batch)

    return predict
