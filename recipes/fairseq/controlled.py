"""What `protocol=controlled` changes of the recipe: the head, the batches, the optimizer, and the first step's rate.

It registers a task and an optimizer beside those of the user directory, as a second one would.
"""

from argparse import Namespace
from functools import partial

import numpy as np
import torch
from fairseq import tasks, utils
from fairseq.data import iterators
from fairseq.optim import FairseqOptimizer, register_optimizer
from fairseq.optim.adam import FairseqAdam, FairseqAdamConfig

from recipes import weights
from recipes.contract.job import Batch, Hidden, Job, Predict
from recipes.fairseq import recipe
from recipes.fairseq.encoder import architecture, build, padded, set_head
from recipes.fairseq.recipe import load

utils.import_user_module(Namespace(user_dir=str(recipe.USER_DIR)))
from text_classification.task import TextClassificationConfig, TextClassificationTask  # noqa: E402

__all__ = ["finetune", "hidden_states", "load"]


def finetune(job: Job) -> Predict:
    optimizers = partial(recipe.optimizers, optimizer="torch_adamw", schedule="polynomial_decay")
    return recipe.finetune(job, "given_batches", partial(with_head, job), optimizers)


def with_head(job: Job, *model):
    """Return the model with the job's head."""
    return set_head(build(*model), job.head())


@tasks.register_task("given_batches", dataclass=TextClassificationConfig)
class GivenBatches(TextClassificationTask):
    """The recipe's task, with the job's batches in the job's order."""

    def get_batch_iterator(self, dataset, *args, epoch=1, num_shards=1, shard_id=0, **kwargs):
        batches, settings = self.job.batches(self.job.order(epoch - 1)), {"epoch": epoch, "disable_shuffling": True}
        return iterators.EpochBatchIterator(
            dataset, dataset.collater, batches, num_shards=num_shards, shard_id=shard_id, **settings
        )


@register_optimizer("torch_adamw", dataclass=FairseqAdamConfig)
class TorchAdamW(FairseqAdam):
    """PyTorch's: fairseq's own adam adds epsilon before it corrects the second moment's bias."""

    def __init__(self, cfg, params):
        FairseqOptimizer.__init__(self, cfg)
        self._optimizer = torch.optim.AdamW(params, fused=True, **self.optimizer_config)


def hidden_states(job: Job) -> Hidden:
    """Return the encoder before training, as a function."""
    config, encoder = weights.read(job.weights)
    cfg = recipe.configuration(job, architecture(config, encoder))
    task = tasks.setup_task(cfg.task)
    model = build(task, cfg, config, encoder)

    @torch.inference_mode()
    def hidden(batch: Batch, training: bool) -> np.ndarray:
        found = model.train(training).encoder(padded(batch, task))
        return found["encoder_out"][0].transpose(0, 1).numpy()

    return hidden
