"""TensorFlow alone, without Keras: you write modules, optimiser and loop; one traced graph has the step for all shapes.

Pick it to own every operation and still have tf.data, several devices and SavedModel.

After site/en/guide/core/mlp_core.ipynb (modules, a GradientTape and Adam of one's own) and
site/en/tutorials/distribute/custom_training.ipynb of tensorflow/docs (one traced step on several devices).
"""

from collections.abc import Callable

import tensorflow as tf

from recipes.contract.checkpoints import step_of
from recipes.contract.job import Job, Predict
from recipes.contract.schedule import linear
from recipes.on_tensorflow.batches import buckets, part, predictor, signature
from recipes.on_tensorflow.devices import devices
from recipes.on_tensorflow.dropout import seed_of
from recipes.on_tensorflow.losses import LOSSES
from recipes.tensorflow.model import Classifier, build, save, saved
from recipes.tensorflow.optimizer import AdamW


def step_function(job: Job, strategy: tf.distribute.Strategy, model: Classifier, optimizer: AdamW) -> Callable:
    """Return the step: its number, counted from 1, the share of the rate, rows -> loss, the gradient's norm."""
    trained, loss_of = optimizer.trained, LOSSES[job.task.name]

    def on_each_device(step: tf.Tensor, share: tf.Tensor, *rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        context = tf.distribute.get_replica_context()
        loss, gradient = tf.zeros(()), [tf.zeros_like(one) for one in trained]
        for batch in tf.range(job.train.accumulate):
            ids, mask, labels, weight = (part(values, job, batch) for values in rows)
            seed = seed_of(job.seed, step, batch, context.replica_id_in_sync_group)
            with tf.GradientTape() as tape:
                logits = model(ids, mask, job.dropout, seed)
                summed = tf.reduce_sum(loss_of(labels, logits) * weight)
            loss += summed
            gradient = [tf.add(*pair) for pair in zip(gradient, tape.gradient(summed, trained), strict=True)]
        gradient = context.all_reduce(tf.distribute.ReduceOp.SUM, gradient)
        return loss, optimizer.apply(gradient, step, share)

    @tf.function(input_signature=[tf.TensorSpec((), tf.int64), tf.TensorSpec((), tf.float32), *signature(job)])
    def step(*values: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        loss, norm = strategy.run(on_each_device, values)
        return strategy.reduce(tf.distribute.ReduceOp.SUM, loss, None), strategy.experimental_local_results(norm)[0]

    return step


def finetune(job: Job, build: Callable[[Job], Classifier] = build, batches: Callable = buckets) -> Predict:
    settings, names = job.settings, devices(job)
    strategy = tf.distribute.MirroredStrategy(names) if len(names) > 1 else tf.distribute.get_strategy()
    with job.phase("load_weights"), strategy.scope():
        model = build(job)
        job.event("model", parameters=sum(tf.size(one).numpy().item() for one in model.variables))
    with job.phase("build_data"):
        steps_of, size = batches(job, model.encoder.bert.padding)
        steps = job.train.epochs * size
    with job.phase("train"):
        with strategy.scope():
            optimizer = AdamW(settings, model)
        update, share, step = step_function(job, strategy, model, optimizer), linear(job, steps), 0
        state = tf.train.Checkpoint(model=model, optimizer=optimizer)
        if checkpoint := job.checkpoints.newest():
            state.read(str(checkpoint / "state")).assert_consumed()
            step = step_of(checkpoint)
        first, done = divmod(step, size)
        for epoch in range(first, job.train.epochs):
            for rows in steps_of(epoch, done if epoch == first else 0):
                now = share(step)
                step += 1
                loss, norm = update(tf.constant(step, tf.int64), tf.constant(now), *rows)
                if job.reports(step, steps):
                    rate = now * settings["learning_rate"]
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
