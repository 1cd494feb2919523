"""fastai beside the tutorial: several processes, accumulation, checkpoints, reports, and bf16 on any device.

At each event fastai calls the callbacks by their `order`, the lowest first; where one of them cancels the batch, those
after it are not called. So each has its place for a reason:

    order  callback      because
      6    Accumulate    fastai's own place: it cancels what ends no optimiser step
      7    Checkpoint    after Accumulate, for it counts steps; before BFloat16: no autocast begins in what it passes by
      8    Report        after Checkpoint, which says what step it is; before GradientClip, for the whole norm
     10    BFloat16      fastai's own place; or MixedPrecision, which is fp16's
     11    GradientClip  fastai's own place
     60    ParamScheduler, which `fit_one_cycle` adds: so the rate is set for the batches that are not passed by alone
"""

import math
from pathlib import Path

import torch
from accelerate.utils import reduce
from fastai.basics import Callback, CancelBatchException, CancelValidException
from fastai.callback.fp16 import MixedPrecision
from fastai.callback.training import GradientAccumulation
from fastai.distributed import DistributedDL
from fastai.torch_core import get_model, get_random_states, set_random_states
from torch import nn

from recipes.contract.checkpoints import step_of
from recipes.contract.job import Job
from recipes.contract.tasks import IGNORED
from recipes.pytorch.model import predictor


class Shared(DistributedDL):
    """fastai's own, for several processes, on processors too: it sends the order of the rows through a GPU."""

    def _broadcast(self, rows, rank):
        sent = [rows]
        torch.distributed.broadcast_object_list(sent, rank)
        return sent[0]


class Accumulate(GradientAccumulation):
    """fastai's, which counts rows, and does the step at the end of an epoch too, where there are fewer.

    It weighs batches by their rows, and tags by their words: how many a step has is known when all its batches are
    done, and `share` is what makes a mean over them of one over rows.
    """

    def __init__(self, job: Job):
        super().__init__()
        self.job, self.rows, self.words = job, len(job.split("train")), 0.0

    def before_batch(self):
        rows = self.job.rows_in_step(self.iter // self.job.train.accumulate, self.rows)
        self.n_acc = math.ceil(rows / self.job.processes)  # each has as many, one row twice if need be

    def after_loss(self):
        super().after_loss()
        self.items, self.share = len(self.y), 1.0
        if self.job.task.name == "tagging":
            self.items = (self.y != IGNORED).sum()
            self.learn.loss_grad *= self.items / len(self.y)
            self.words += self.items

    def before_step(self):
        super().before_step()
        if self.job.task.name == "tagging":
            self.share = self.n_acc / reduce(self.words, "mean")
            for parameter in self.learn.parameters():
                if parameter.grad is not None:
                    parameter.grad *= self.share
            self.words = 0.0


class Checkpoint(Callback):
    """Count the steps, make checkpoints after them, and go on from one.

    The batches before it are passed by, not left out: so the orders and schedules of what follows are the same.
    """

    order, run_valid = Accumulate.order + 1, False

    def __init__(self, job: Job, steps: int):
        """`steps`: of an epoch."""
        self.job, self.epoch_steps, self.steps = job, steps, steps * job.train.epochs
        self.random, self.scaler = f"random{job.rank}.pth", f"scaler{job.rank}.pth"
        self.newest: Path | None = None
        self.step = self.passing = 0
        self.begun = False

    def before_fit(self):
        if self.begun:  # by an earlier call of `fit`
            return
        self.begun, self.newest = True, self.job.checkpoints.newest()  # now the processes know one another
        if self.newest:
            self.step = step_of(self.newest)
            epochs, done = divmod(self.step, self.epoch_steps)
            self.passing = epochs * len(self.dls.train) + done * self.job.train.accumulate  # batches

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
                if self.job.precision == "fp16":
                    self.learn.scaler.load_state_dict(torch.load(self.newest / self.scaler))
        elif self.stepped and self.job.checkpoints.due(self.step):
            with self.job.checkpoints.writing(self.step) as folder:
                if not self.job.local_rank:  # as Learner.save does, on the first machine alone
                    state = {"model": get_model(self.model).state_dict(), "opt": self.opt.state_dict()}
                    torch.save(state, folder / "learner.pth")
                torch.save(get_random_states(), folder / self.random)
                if self.job.precision == "fp16":
                    torch.save(self.learn.scaler.state_dict(), folder / self.scaler)


class Report(Callback):
    """Hand loss, rate and norm of the gradient on as the job's progress events."""

    order, run_valid = Checkpoint.order + 1, False

    def __init__(self, job: Job):
        self.job = job
        self.losses: list[torch.Tensor] = []  # sums over the rows of a batch, or its words

    def after_loss(self):
        self.losses.append(self.loss.detach() * self.accumulate.items)

    def before_step(self):
        step, steps = self.checkpoint.step, self.checkpoint.steps
        if self.job.reports(step, steps):
            loss = reduce(sum(self.losses) / self.accumulate.n_acc, "mean") * self.accumulate.share  # of all processes
            norm = nn.utils.get_total_norm([p.grad for p in self.learn.parameters() if p.grad is not None])
            if self.job.precision == "fp16":
                norm = norm / self.learn.scaler.get_scale()
            rate = self.opt.hypers[0]["lr"]
            self.job.step(step, steps, loss=loss.item(), learning_rate=rate, grad_norm=norm.item())
        self.losses.clear()

    def before_validate(self):
        if not self.checkpoint.passing:
            self.job.epoch_ended(lambda: predictor(self.model, self.job))
        raise CancelValidException  # the harness evaluates; without this line fastai does, after each epoch


class BFloat16(MixedPrecision):
    """fastai's mixed precision, in bf16 on any device: its own asks for CUDA's autocast, on the CPU too."""

    def before_fit(self):
        device = self.dls.device.type
        self.autocast, self.scales = torch.autocast(device, torch.bfloat16), []
        self.learn.scaler = torch.amp.GradScaler(device, enabled=False)  # the range of bf16 is that of fp32


PRECISION = {"bf16": lambda: [BFloat16()], "fp16": lambda: [MixedPrecision()]}  # job.precision -> callbacks
