"""Sonnet 2, on TensorFlow: you write the loop; its modules make their variables when they are first called.

Pick it to go on from code of DeepMind's that was written in it; its last release is of January 2024.

After examples/vqvae_example.ipynb (modules of modules, Adam, one tf.function for the step) and
examples/distributed_cifar10.ipynb (a Replicator, gradients reduced by hand) of Sonnet, and its README, on checkpoints.
"""

from collections.abc import Callable

import sonnet as snt
import tensorflow as tf

from recipes.contract.checkpoints import step_of
from recipes.contract.job import Job, Predict
from recipes.contract.schedule import linear
from recipes.on_tensorflow.batches import buckets, part, predictor, signature
from recipes.on_tensorflow.devices import devices
from recipes.on_tensorflow.dropout import seed_of
from recipes.on_tensorflow.losses import LOSSES
from recipes.sonnet.model import Classifier, build, save, saved
from recipes.sonnet.optimizer import Adam


def step_function(job: Job, strategy: tf.distribute.Strategy, model: Classifier, optimizers: list[Adam]) -> Callable:
    """Return the step: its number, counted from 1, and its rows -> the loss and the gradient's norm."""
    trained = [variable for optimizer in optimizers for variable in optimizer.parameters]

    @tf.function(jit_compile=True, autograph=False)  # of the same shapes at every step: XLA compiles it once
    def update(gradients: list[tf.Tensor]) -> tf.Tensor:
        clipped, norm = tf.clip_by_global_norm(gradients, job.settings["max_grad_norm"])
        for optimizer in optimizers:
            optimizer.apply([clipped.pop(0) for _ in optimizer.parameters], optimizer.parameters)
        return norm

    def on_each_device(step: tf.Tensor, *rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        context = tf.distribute.get_replica_context()

        def loss_and_gradients(batch: tf.Tensor | int) -> list[tf.Tensor]:
            ids, mask, labels, share = (part(values, job, batch) for values in rows)
            with tf.GradientTape() as tape:
                logits = model(ids, mask, seed_of(job.seed, step, batch, context.replica_id_in_sync_group))
                loss = tf.reduce_sum(LOSSES[job.task.name](labels, logits) * share)
            return [loss, *tape.gradient(loss, trained)]

        def add(total: list[tf.Tensor], batch: tf.Tensor) -> list[tf.Tensor]:
            return [tf.add(*pair) for pair in zip(total, loss_and_gradients(batch), strict=True)]

        total = loss_and_gradients(0)
        if job.train.accumulate > 1:  # one after the other, for memory
            total = tf.foldl(add, tf.range(1, job.train.accumulate), total, parallel_iterations=1)
        loss, *gradients = context.all_reduce("sum", total)
        return loss, update(gradients)

    @tf.function(input_signature=[tf.TensorSpec((), tf.int64), *signature(job)], autograph=False)
    def step(*values: tf.Tensor) -> tuple[tf.Tensor, ...]:
        each = strategy.run(on_each_device, values)
        return tuple(strategy.experimental_local_results(value)[0] for value in each)

    return step


def finetune(job: Job, build: Callable = build, batches: Callable = buckets, adam: type[Adam] = Adam) -> Predict:
    settings, names = job.settings, devices(job)
    strategy = snt.distribute.Replicator(names) if len(names) > 1 else tf.distribute.get_strategy()
    with job.phase("load_weights"), strategy.scope():
        model = build(job)
        job.event("model", parameters=sum(variable.shape.num_elements() for variable in model.variables))
    with job.phase("build_data"):
        steps_of, size = batches(job, model.encoder.bert.padding)
        steps = job.train.epochs * size
    with job.phase("train"):
        with strategy.scope():
            optimizers = [
                adam(job, settings["learning_rate"], model.encoder.trainable_variables),
                adam(job, settings["head_learning_rate"], model.head.trainable_variables),
            ]
        update, share, step = step_function(job, strategy, model, optimizers), linear(job, steps), 0
        state = tf.train.Checkpoint(model=model, optimizers=optimizers)
        if checkpoint := job.checkpoints.newest():
            state.read(str(checkpoint / "state")).assert_consumed()
            step = step_of(checkpoint)
        first, done = divmod(step, size)
        for epoch in range(first, job.train.epochs):
            for rows in steps_of(epoch, done if epoch == first else 0):
                for optimizer in optimizers:
                    optimizer.learning_rate.assign(optimizer.rate * share(step))
                rate = settings["learning_rate"] * share(step)
                step += 1
                loss, norm = update(tf.constant(step, tf.int64), *rows)
                if job.reports(step, steps):
                    job.step(step, steps, loss=loss.numpy().item(), learning_rate=rate, grad_norm=norm.numpy().item())
                if job.checkpoints.due(step):
                    with job.checkpoints.writing(step) as folder:
                        state.write(str(folder / "state"))
            job.epoch_ended(lambda: predictor(model))
    with job.phase("save"):
        save(model, job)
    return load(job) if job.processes > 1 else predictor(model)  # one device predicts


def load(job: Job) -> Predict:
    """Return the function that predicts, from the saved model alone."""
    return predictor(saved(job))
