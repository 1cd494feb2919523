"""What `protocol=controlled` changes of the recipe: the head, what decays, and a gradient of the mean loss."""

import numpy as np
import torch
from flair.models import TextClassifier
from flair.trainers.plugins import TrainerPlugin

from recipes.contract.job import Batch, Hidden, Job, Predict
from recipes.flair import recipe
from recipes.flair.embeddings import embeddings_of, sentences_of
from recipes.flair.plugins import Linear
from recipes.flair.recipe import load

__all__ = ["finetune", "hidden_states", "load"]


def finetune(job: Job) -> Predict:
    return recipe.finetune(job, build=build, schedule=LinearOfTheMean)


def build(job: Job) -> TextClassifier:
    """Return the recipe's classifier with the job's head."""
    classifier = recipe.build(job, job.weights)
    weight, bias = map(torch.from_numpy, job.head())
    classifier.decoder.load_state_dict({"weight": weight, "bias": bias})
    return classifier


class LinearOfTheMean(Linear):
    """No decay on biases and LayerNorm; the gradient of the mean over a step's rows: Flair's loss is the sum."""

    @TrainerPlugin.hook
    def after_setup(self, **about):
        optimizer = self.trainer.optimizer
        for group in optimizer.param_groups[:]:
            plain = [parameter for parameter in group["params"] if parameter.dim() == 1]
            group["params"] = [parameter for parameter in group["params"] if parameter.dim() > 1]
            optimizer.add_param_group(group | {"params": plain, "weight_decay": 0.0})
        super().after_setup(**about)

    @TrainerPlugin.hook
    def before_training_optimizer_step(self, batch, **_):
        for parameter in self.trainer.model.parameters():
            if parameter.grad is not None:
                parameter.grad /= len(batch)


def hidden_states(job: Job) -> Hidden:
    """Return the encoder before training, as a function."""
    embeddings = embeddings_of(job, job.weights)

    @torch.inference_mode()
    def hidden(batch: Batch, training: bool) -> np.ndarray:
        tensors = embeddings.train(training).prepare_tensors(sentences_of(batch))
        return embeddings.model(tensors["input_ids"], tensors["attention_mask"]).last_hidden_state.cpu().numpy()

    return hidden
