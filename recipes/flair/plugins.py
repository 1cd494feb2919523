"""Flair beside the tutorial: several processes, the order of batches, checkpoints, reports, and the rate.

At each event Flair calls its plugins in the order that they are given in. After a batch `Report` tells the rate that
the step was done at, then `Linear` sets the next one, then `Checkpoint` keeps it.
"""

import math
import os
from collections.abc import Callable
from dataclasses import replace

import flair
import torch
from flair.samplers import FlairSampler
from flair.trainers.plugins import LinearSchedulerPlugin, TrainerPlugin
from torch.optim.lr_scheduler import LambdaLR

from recipes.contract.checkpoints import step_of
from recipes.contract.job import Every, Job, Predict
from recipes.contract.schedule import linear


def place(job: Job) -> Job:
    """Join the processes that accelerate has started, one a GPU, as Flair's launch_distributed does with its own.

    Flair draws the batches itself then, so that nothing can go on within an epoch: the job returned has no checkpoints.
    """
    flair.device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
    torch.cuda.set_device(flair.device)
    torch.distributed.init_process_group("nccl")
    return replace(job, checkpoint=Every())


def summed_over(job: Job) -> int:
    """Return over how many terms Flair's loss of a text is a sum: its names, where any may hold."""
    return job.outputs if job.task.name == "multilabel" else 1


class InBatches(FlairSampler):
    """The rows in the order of the batches that `mini_batch_size` cuts: of like length.

    The first epoch is the one given, from a row of it on.
    """

    def __init__(self, job: Job, epoch: int, row: int):
        self.job, self.epoch, self.row = job, epoch, row

    def __iter__(self):
        yield from self.job.order(self.epoch)[self.row :].tolist()
        self.epoch, self.row = self.epoch + 1, 0


class Checkpoint(TrainerPlugin):
    """Count the steps, make checkpoints after them, and go on from one.

    Flair's own have no optimizer, and are made at the end of epochs alone: these hold tensors, and are read as such.
    """

    def __init__(self, job: Job, schedule: LinearSchedulerPlugin, rows: int):
        super().__init__()
        self.job, self.schedule, self.newest = job, schedule, job.checkpoints.newest()
        steps = math.ceil(rows / job.rows_per_step)  # of an epoch
        self.step, self.steps = step_of(self.newest) if self.newest else 0, steps * job.train.epochs
        self.epoch, self.done = divmod(self.step, steps)
        self.sampler = InBatches(job, self.epoch, self.done * job.rows_per_step)

    @TrainerPlugin.hook
    def before_training_epoch(self, **_):
        if not self.done:  # the loader is yet to draw a random number, as it was then
            self.go_on()

    @TrainerPlugin.hook
    def before_training_batch(self, **_):
        self.go_on()  # where it was within an epoch: the loader has drawn its number by now
        self.step += 1

    def go_on(self) -> None:
        """Load the checkpoint that there was at the start, once."""
        if self.newest:
            state = torch.load(self.newest / "state.pt", map_location=flair.device)
            for part, values in state["parts"].items():
                self.parts()[part].load_state_dict(values)
            torch.set_rng_state(state["random"].cpu())
            if torch.cuda.is_available():
                torch.cuda.set_rng_state_all([device.cpu() for device in state["random_cuda"]])
            self.newest = None

    @TrainerPlugin.hook
    def after_training_batch(self, **_):
        if self.job.checkpoints.due(self.step):
            with self.job.checkpoints.writing(self.step) as folder:
                random = {"random": torch.get_rng_state(), "random_cuda": torch.cuda.get_rng_state_all()}
                parts = {name: part.state_dict() for name, part in self.parts().items()}
                torch.save({"parts": parts, **random}, folder / "state.pt")

    def parts(self) -> dict:
        """Return what has a state, the optimizer before its schedule."""
        trainer = self.trainer
        return {"model": trainer.model, "optimizer": trainer.optimizer, "schedule": self.schedule.scheduler}


class Report(TrainerPlugin):
    """Hand the metrics that Flair records on as the job's progress events."""

    def __init__(self, checkpoint: Checkpoint, predict: Callable[[], Predict]):
        super().__init__()
        self.checkpoint, self.job, self.seen = checkpoint, checkpoint.job, dict[str, float]()
        self.predict = predict

    @TrainerPlugin.hook
    def metric_recorded(self, record):
        self.seen[record.name[-1]] = record.value  # such as batch_loss, of train/batch_loss

    @TrainerPlugin.hook
    def after_training_batch(self, **_):
        step, steps = self.checkpoint.step, self.checkpoint.steps
        if self.job.reports(step, steps):
            rate = self.trainer.optimizer.param_groups[-1]["lr"]  # of the encoder; the schedule's plugin comes later
            norm = float(self.seen["gradient_norm"])
            loss = self.seen["batch_loss"] / summed_over(self.job)
            self.job.step(step, steps, loss=loss, learning_rate=rate, grad_norm=norm)

    @TrainerPlugin.hook
    def after_training_epoch(self, **_):
        self.job.epoch_ended(self.predict)  # the next epoch begins with model.train()


class Linear(LinearSchedulerPlugin):
    """Flair's plugin, over exactly the steps there are, none of them at rate 0: its own rounds, and begins at 0."""

    def __init__(self, job: Job):
        super().__init__(job.settings["warmup"])
        self.job = job

    @TrainerPlugin.hook
    def after_setup(self, dataset_size, max_epochs, **_):
        steps = math.ceil(dataset_size / self.job.rows_per_step) * max_epochs
        self.scheduler = LambdaLR(self.trainer.optimizer, linear(self.job, steps))
