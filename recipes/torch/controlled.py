"""What `protocol=controlled` changes of the recipe: the head; the order and the rates come with the job."""

from recipes.contract.job import Job, Predict
from recipes.pytorch.controlled import build, hidden_states
from recipes.torch import recipe
from recipes.torch.recipe import load

__all__ = ["finetune", "hidden_states", "load"]


def finetune(job: Job) -> Predict:
    return recipe.finetune(job, build=build)
