"""What the Keras recipe needs beside the tutorial: devices, the encoder as Hugging Face has it, optimizer, schedule."""

import contextlib
import os
from pathlib import Path

import keras
import keras_hub
from keras import ops

from recipes import weights
from recipes.contract.job import Job
from recipes.contract.schedule import warmup_steps
from recipes.keras.weights import FIRST_POSITION, architecture, to_keras

BACKEND = keras.config.backend()
if BACKEND == "tensorflow":  # its threads and its determinism are settled before its first computation
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(int(os.environ.get("OMP_NUM_THREADS", 0)))
    tf.config.threading.set_inter_op_parallelism_threads(int(os.environ.get("OMP_NUM_THREADS", 0)))
    tf.config.experimental.enable_op_determinism()
    if not os.environ.get("CUDA_VISIBLE_DEVICES", "all"):  # placed on the processors: a plugin may bring other GPUs
        tf.config.set_visible_devices([], "GPU")
elif BACKEND == "jax":
    import jax


def prepare(job: Job) -> None:
    """Settle seed, threads and determinism."""
    if job.settings["backend"] != BACKEND:
        raise ValueError(f"recipe.backend={job.settings['backend']}, but in this environment Keras runs on {BACKEND}.")
    if job.processes > 1 and job.placement.use_cpu:  # as many devices, before the first computation
        if BACKEND == "tensorflow":
            logical = [tf.config.LogicalDeviceConfiguration()] * job.processes
            tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], logical)
        else:
            jax.config.update("jax_num_cpu_devices", job.processes)
    keras.utils.set_random_seed(job.seed)


def scope_of(job: Job):
    """Return the scope within which a model is built and trained on all of the job's devices."""
    if job.processes == 1:
        return contextlib.nullcontext
    kind = "cpu" if job.placement.use_cpu else "gpu"
    devices = [f"{kind}:{number}" for number in range(job.processes)]
    if BACKEND == "tensorflow":
        return tf.distribute.MirroredStrategy(devices).scope
    return keras.distribution.DataParallel(devices=devices).scope


def feed(data):
    """Return the data for `fit`: for a PyDataset TensorFlow would take the lengths of two batches for those of all."""
    if BACKEND != "tensorflow" or not isinstance(data, keras.utils.PyDataset):
        return data
    inputs, _, *share = data[0]
    tokens = {name: tf.TensorSpec((None, None), tf.int32) for name in inputs}
    spec = tokens, tf.TensorSpec((None,), tf.int32), *(tf.TensorSpec((None,), tf.float32) for _ in share)
    fed = tf.data.Dataset.from_generator(lambda: (data[i] for i in range(len(data))), output_signature=spec)
    return fed.apply(tf.data.experimental.assert_cardinality(len(data)))


def encoder_of(job: Job, folder: Path) -> tuple[keras.Model, dict]:
    """Return the encoder in a Hugging Face folder, a BertBackbone without its pooler, and its config.

    It settles the precision, for the layers around it too.

    KerasHub's BERT has tanh GELU, an epsilon of 1e-12 and positions from 0: its layers are cloned with the config's.
    """
    keras.config.set_dtype_policy("mixed_bfloat16" if job.precision == "bf16" else "float32")
    config, values = weights.read(folder)
    backbone = keras_hub.models.BertBackbone(
        **architecture(config), dropout=max(job.dropout.hidden, job.dropout.attention)
    )
    epsilon = config["layer_norm_eps"]
    own = {"activation": config["hidden_act"], "epsilon": epsilon, "layer_norm_epsilon": epsilon}

    def clone(layer):
        settings = layer.get_config()
        return layer.from_config(settings | {name: value for name, value in own.items() if name in settings})

    def call(layer, *args, **kwargs):
        if layer.name == "position_embedding":
            kwargs["start_index"] = FIRST_POSITION[config["model_type"]]
        return layer(*args, **kwargs)

    encoder = keras.Model(backbone.input, backbone.output["sequence_output"])
    encoder = keras.models.clone_model(encoder, clone_function=clone, call_function=call)
    encoder.get_layer("embeddings_dropout").rate = job.dropout.hidden
    for layer in encoder.layers:
        if isinstance(layer, keras_hub.layers.TransformerEncoder):  # it takes one rate for all its dropouts
            layer._self_attention_layer._dropout_layer.rate = job.dropout.attention
            layer._self_attention_dropout.rate = layer._feedforward_dropout.rate = job.dropout.hidden
    named = to_keras(config, values)
    for weight in encoder.weights:
        weight.assign(named[weight.path])
    return encoder, config


class AdamW(keras.optimizers.AdamW):
    """Keras' AdamW, with a rate of its own for the head, and the norm of the gradient kept for the report."""

    def __init__(self, schedule, job: Job):
        settings, accumulate = job.settings, job.train.accumulate
        decay, clip = settings["weight_decay"], settings["max_grad_norm"]
        several = accumulate if accumulate > 1 else None
        super().__init__(
            schedule, decay, *settings["betas"], settings["epsilon"],
            global_clipnorm=clip, gradient_accumulation_steps=several,
        )  # fmt: skip
        self.head_factor = settings["head_learning_rate"] / settings["learning_rate"]
        self.controlled, self.plain_epsilon = job.controlled, settings["epsilon"]

    def build(self, variables):
        super().build(variables)
        self.norm = self.add_variable((), name="norm")

    def apply(self, grads, trainable_variables=None):
        if self.controlled:  # epsilon is added after the bias correction, as torch does; Keras adds it before
            unbiased = 1 - ops.power(self.beta_2, ops.cast(self.iterations + 1, "float32"))
            self.epsilon = self.plain_epsilon * ops.sqrt(unbiased)
        if BACKEND == "tensorflow":  # lists an embedding's gradient token by token, which Keras squares unsummed
            grads = [tf.convert_to_tensor(grad) for grad in grads]
            # Of several devices the sum, before it is clipped; Keras clips the gradient of each.
            grads = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, grads)
        super().apply(grads, trainable_variables)

    def _clip_gradients(self, grads):  # those of a whole step come by here alone
        self.norm.assign(ops.sqrt(sum(ops.sum(ops.square(grad)) for grad in grads)))
        return super()._clip_gradients(grads)

    def _all_reduce_sum_gradients(self, grads_and_vars):  # TensorFlow's: it is done above
        return grads_and_vars

    def update_step(self, gradient, variable, learning_rate):
        of_head = self._trainable_variables[self._get_variable_index(variable)].path.startswith("head/")
        super().update_step(gradient, variable, learning_rate * (self.head_factor if of_head else 1))


class WarmupThenLinear(keras.optimizers.schedules.LearningRateSchedule):
    """Up to the rate, then down to 0, both linearly, in optimiser steps; Keras counts batches.

    Controlled: from 0. That step moves no weight, so native begins one further on.
    """

    def __init__(self, job: Job, steps: int):
        self.rate, self.accumulate = job.settings["learning_rate"], job.train.accumulate
        self.rising, self.steps = warmup_steps(job.settings["warmup"], steps), steps
        self.ahead = int(not job.controlled)

    def __call__(self, batch):
        step = ops.cast(batch // self.accumulate, "float32")
        falling = (self.steps - step) / (self.steps - self.rising)
        rising = (step + self.ahead) / max(1, self.rising + self.ahead)
        return self.rate * ops.where(step < self.rising, rising, falling)
