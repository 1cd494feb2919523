"""What `protocol=controlled` changes of the recipe: the head, and the batches that the Trainer takes."""

from functools import partial

from torch.utils.data import DataLoader
from transformers import Trainer

from recipes.contract.job import Job, Predict
from recipes.hf_trainer import recipe
from recipes.hf_trainer.recipe import load
from recipes.pytorch.batches import Batches
from recipes.pytorch.controlled import build, hidden_states

__all__ = ["finetune", "hidden_states", "load"]


def finetune(job: Job) -> Predict:
    return recipe.finetune(job, build=build, trainer_class=partial(InGivenOrder, job))


class InGivenOrder(Trainer):
    """The Trainer, on the batches that the job gives."""

    def __init__(self, job: Job, *arguments, **named):
        super().__init__(*arguments, **named)
        self.job = job

    def get_train_dataloader(self) -> DataLoader:
        batches = Batches(self.job, self.train_dataset.split)
        made = {"collate_fn": self.data_collator, "pin_memory": self.args.dataloader_pin_memory}
        loader = DataLoader(self.train_dataset, batch_sampler=batches, **made)
        loader = self.accelerator.prepare(loader)
        loader.batch_sampler.set_epoch = batches.set_epoch  # a shard, of several processes, does not hand it on
        return loader
