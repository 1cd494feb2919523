"""What the recipe asks of the Trainer while it trains: to report, and to make checkpoints to go on from to the bit."""

from transformers import TrainerCallback

from recipes.contract import frameworks
from recipes.contract.job import Job
from recipes.pytorch.model import predictor


class Report(TrainerCallback):
    """Have the Trainer log the steps that the job wants reported, and hand its logs on."""

    def __init__(self, job: Job):
        self.job = job

    def on_step_end(self, args, state, control, **kwargs):
        control.should_log = self.job.reports(state.global_step, state.max_steps)

    def on_log(self, args, state, control, logs=None, **kwargs):
        if "loss" in logs:  # the last log, of the whole training, has none
            values = {name: logs.get(name) for name in ("loss", "learning_rate", "grad_norm")}
            self.job.step(state.global_step, state.max_steps, **values)

    def on_epoch_end(self, args, state, control, model=None, **kwargs):
        self.job.epoch_ended(lambda: predictor(model, self.job))  # the Trainer's next step sets it to train again


class Checkpoint(TrainerCallback):
    """Have the Trainer make the checkpoints that are due, so that a run which goes on from one ends as any other.

    The Trainer's sampler draws the order of an epoch from PyTorch's own generator, as dropout does. A run that goes on
    within an epoch draws that epoch's order again, and only then takes the generator's state from the checkpoint. So an
    order must follow from the epoch alone: the generator is seeded before each is drawn. Where an epoch has just ended,
    that is before the checkpoint is made there: a run that goes on from it draws the next order from its state.
    """

    def __init__(self, job: Job):
        self.job = job

    def on_train_begin(self, args, state, control, **kwargs):
        self.seed(state)

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step % steps_of_epoch(state) == 0:
            self.seed(state)
        control.should_save = self.job.checkpoints.due(state.global_step)

    def on_save(self, args, state, control, **kwargs):
        self.job.checkpoints.seal(self.job.checkpoints.folder / f"checkpoint-{state.global_step}")

    def seed(self, state) -> None:
        """Seed what the order of the epoch is drawn from that the next step belongs to."""
        frameworks.seed(self.job.seed + state.global_step // steps_of_epoch(state))


def steps_of_epoch(state) -> int:
    return state.max_steps // state.num_train_epochs
