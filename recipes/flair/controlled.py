"""What `protocol=controlled` changes of the recipe: the head, what decays, dropout, and a gradient of the mean loss."""

import numpy as np
import torch
from flair.nn import Model
from flair.trainers.plugins import TrainerPlugin
from torch.nn.functional import dropout

from recipes.contract.job import Batch, Hidden, Job, Predict
from recipes.flair import recipe
from recipes.flair.embeddings import embeddings_of, sentences_of
from recipes.flair.model import parts
from recipes.flair.plugins import Linear, summed_over
from recipes.flair.recipe import load

__all__ = ["finetune", "hidden_states", "load"]


def finetune(job: Job) -> Predict:
    return recipe.finetune(job, build=build, schedule=LinearOfTheMean)


def build(job: Job) -> Model:
    """Return the recipe's model with the job's head; before that of a TextRegressor Flair has no dropout."""
    model = recipe.build(job)
    weight, bias = map(torch.from_numpy, job.head())
    parts(model)[1].load_state_dict({"weight": weight, "bias": bias})
    if job.task.name == "regression":
        rate = job.dropout.hidden
        model.decoder.register_forward_pre_hook(lambda head, given: dropout(given[0], rate, head.training))
    return model


class LinearOfTheMean(Linear):
    """No decay on biases and LayerNorm; the gradient of a step's mean loss: Flair's is the sum."""

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
        terms = sum(map(len, batch)) * summed_over(self.job)  # a text that is not tagged is one word
        for parameter in self.trainer.model.parameters():
            if parameter.grad is not None:
                parameter.grad /= terms


def hidden_states(job: Job) -> Hidden:
    """Return the encoder before training, as a function."""
    embeddings = embeddings_of(job, job.weights)

    @torch.inference_mode()
    def hidden(batch: Batch, training: bool) -> np.ndarray:
        tensors = embeddings.train(training).prepare_tensors(sentences_of(batch))
        return embeddings.model(tensors["input_ids"], tensors["attention_mask"]).last_hidden_state.cpu().numpy()

    return hidden
