"""fastai beside the tutorial: several processes, accumulation, checkpoints, reports, and bf16 on any device."""

import math
from pathlib import Path

import numpy as np
import torch
from accelerate.utils import reduce
from fastai.basics import Callback, CancelBatchException, CancelValidException
from fastai.callback.fp16 import MixedPrecision
from fastai.callback.training import GradientAccumulation, GradientClip
from fastai.distributed import DistributedDL
from fastai.text.data import SortedDL
from fastai.torch_core import get_model, get_random_states, set_random_states
from torch import nn

from recipes.contract.checkpoints import step_of
from recipes.contract.job import Job
from recipes.pytorch.model import predictor


class Shared(DistributedDL):
    """fastai's own, for several processes, on processors too: it sends the order of the rows through a GPU."""

    def _broadcast(self, rows, rank):
        sent = [rows]
        torch.distributed.broadcast_object_list(sent, rank)
        return sent[0]


def in_turn(job: Job, epoch: int) -> list[int]:
    """Controlled: return the rows of an epoch, those of each process together: fastai cuts it into such pieces."""
    batches, processes = job.batches(job.order(epoch)), job.processes
    return np.concatenate([batch for rank in range(processes) for batch in batches[rank::processes]]).tolist()


class Accumulate(GradientAccumulation):
    """fastai's, which counts rows, and does the step at the end of an epoch too, where there are fewer."""

    def __init__(self, job: Job):
        super().__init__()
        self.job, self.rows = job, len(job.split("train"))

    def before_batch(self):
        rows = self.job.rows_in_step(self.iter // self.job.train.accumulate, self.rows)
        self.n_acc = math.ceil(rows / self.job.processes)  # each has as many, one row twice if need be


class Checkpoint(Callback):
    """Count the steps, make checkpoints after them, and go on from one.

    The batches before it are passed by, not left out: so the orders and schedules of what follows are the same.
    """

    order, run_valid = Accumulate.order + 0.5, False  # after it has called off what is no step

    def __init__(self, job: Job, train: SortedDL):
        epoch = math.ceil(len(train) / job.train.accumulate)  # in steps
        self.job, self.steps, self.random = job, epoch * job.train.epochs, f"random{job.rank}.pth"
        self.newest: Path | None = None
        self.step = self.passing = 0
        self.lengths = epoch, len(train)  # of an epoch, in steps and in batches
        self.begun = False

    def before_fit(self):
        if self.begun:  # by an earlier call of `fit`
            return
        self.begun, self.newest = True, self.job.checkpoints.newest()  # now the processes know one another
        if self.newest:
            self.step = step_of(self.newest)
            steps, batches = self.lengths
            epochs, done = divmod(self.step, steps)
            self.passing = epochs * batches + done * self.job.train.accumulate  # batches

    def before_batch(self):
        self.stepped = False
        if self.passing:
            raise CancelBatchException

    def before_step(self):
        self.stepped, self.step = True, self.step + 1

    def after_batch(self):
        if self.passing:
            self.passing -= 1
            if self.newest and not self.passing:
                self.learn.load(self.newest / "learner")
                # Python's and NumPy's are no tensors: a pickle, which the seal says that this run wrote.
                set_random_states(**torch.load(self.newest / self.random, weights_only=False))
        elif self.stepped and self.job.checkpoints.due(self.step):
            with self.job.checkpoints.writing(self.step) as folder:
                if not self.job.local_rank:  # as Learner.save does, on the first machine alone
                    state = {"model": get_model(self.model).state_dict(), "opt": self.opt.state_dict()}
                    torch.save(state, folder / "learner.pth")
                torch.save(get_random_states(), folder / self.random)


class Report(Callback):
    """Hand loss, rate and norm of the gradient on as the job's progress events."""

    order, run_valid = GradientClip.order - 0.5, False  # before the gradient is clipped

    def __init__(self, checkpoints: Checkpoint):
        self.checkpoints, self.job = checkpoints, checkpoints.job
        self.losses: list[torch.Tensor] = []  # sums over the rows of a batch

    def after_loss(self):
        self.losses.append(self.loss.detach() * len(self.y))

    def before_step(self):
        step, steps = self.checkpoints.step, self.checkpoints.steps
        if self.job.reports(step, steps):
            loss = reduce(sum(self.losses) / self.accumulate.n_acc, "mean")  # of all processes
            norm = nn.utils.get_total_norm([p.grad for p in self.learn.parameters() if p.grad is not None])
            rate = self.opt.hypers[0]["lr"]
            self.job.step(step, steps, loss=loss.item(), learning_rate=rate, grad_norm=norm.item())
        self.losses.clear()

    def before_validate(self):
        if not self.checkpoints.passing:
            self.job.epoch_ended(lambda: predictor(self.model, self.job))
        raise CancelValidException  # the harness evaluates; without this line fastai does, after each epoch


class BFloat16(MixedPrecision):
    """fastai's mixed precision, in bf16 on any device: its own asks for CUDA's autocast, on the CPU too."""

    def before_fit(self):
        device = self.dls.device.type
        self.autocast, self.scales = torch.autocast(device, torch.bfloat16), []
        self.learn.scaler = torch.amp.GradScaler(device, enabled=False)  # the range of bf16 is that of fp32
