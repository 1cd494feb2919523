"""The Keras recipe's callback: its reports, its checkpoints, and how it goes on from one."""

import keras
import numpy as np
from keras import ops

from recipes.contract.checkpoints import step_of
from recipes.contract.job import Job
from recipes.keras.devices import BACKEND

WEIGHTS, RANDOM = "model.weights.h5", "random.npz"  # of a checkpoint
if BACKEND == "torch":
    import torch


class Report(keras.callbacks.Callback):
    """Count the steps, hand what Keras knows on as the job's progress events, make checkpoints, and go on from one.

    Keras' BackupAndRestore does not know where in an epoch it was, nor what its dropout was to draw next.
    """

    def __init__(self, job: Job):
        super().__init__()
        self.job, self.accumulate = job, job.train.accumulate
        self.epoch = self.batch = 0  # where the training is: batches are counted over all epochs
        self.random_state, self.untold = None, False

    def restore(self, model: keras.Model, size: int, steps: int) -> tuple[int, int]:
        """Load the newest checkpoint, if there is one; return how many epochs, and batches of the next, it has seen.

        `size`: the batches of an epoch; `steps`: those of the training.
        """
        self.size, self.steps = size, steps
        if folder := self.job.checkpoints.newest():
            model.load_weights(folder / WEIGHTS)  # the optimizer's too
            with np.load(folder / RANDOM) as states:
                self.random_state = states.get("torch")
                for number, variable in enumerate(seeds_of(model)):
                    variable.assign(states[str(number)])
            self.batch = step_of(folder) * self.accumulate
        return divmod(self.batch, size)

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch
        if BACKEND == "torch" and self.batch % self.size == 0:
            torch.manual_seed(self.job.seed + epoch)  # what was drawn before is not the same in a run that goes on
            self.random_state = None

    def on_train_batch_begin(self, batch, logs=None):
        self.told()  # not as it ends: for who listens to that, Keras would wait for every loss
        if self.random_state is not None:  # here, since PyTorch's loader has drawn a number by now
            torch.set_rng_state(torch.from_numpy(self.random_state))
            self.random_state = None
        step, part = divmod(self.batch, self.accumulate)
        self.batch += 1
        if part == 0:
            self.due = self.job.reports(step + 1, self.steps)
        if self.due and part == 0:
            self.model.reset_metrics()  # their loss is a mean since then: now of this step alone
        if self.due and part == self.accumulate - 1:
            self.rate = float(ops.convert_to_numpy(self.model.optimizer.learning_rate))
        self.untold = part == self.accumulate - 1

    def on_epoch_end(self, epoch, logs=None):
        self.told()

    def told(self) -> None:
        """Tell of the step that has ended, where it is to be told, and make a checkpoint, where one is due."""
        if not self.untold:
            return
        step, self.untold = self.batch // self.accumulate, False
        if self.due:
            loss = float(ops.convert_to_numpy(self.model.get_metrics_result()["loss"]))
            norm = self.gradient_norm()
            self.job.step(step, self.steps, loss=loss, learning_rate=self.rate, grad_norm=norm)
        if self.job.checkpoints.due(step):
            with self.job.checkpoints.writing(step) as folder:
                self.model.save_weights(folder / WEIGHTS)
                states = {str(number): variable for number, variable in enumerate(seeds_of(self.model))}
                states = {name: ops.convert_to_numpy(variable) for name, variable in states.items()}
                if BACKEND == "torch":  # its dropout draws from PyTorch's own generator
                    states["torch"] = torch.get_rng_state().numpy()
                np.savez(folder / RANDOM, **states)

    def gradient_norm(self) -> float | None:
        """Return the norm of the gradient of the step that has just been done, before clipping: Keras gives none."""
        return None


def seeds_of(model: keras.Model) -> list:
    """Return the states of a model's random generators, which are not among the weights that Keras saves."""
    return [variable for variable in model.variables if variable.name == "seed_generator_state"]
