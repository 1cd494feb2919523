"""What `protocol=controlled` changes in the recipes on PyTorch: the head they begin with; and what parity looks at."""

import numpy as np
import torch

from recipes.contract.job import Batch, Hidden, Job
from recipes.pytorch import model
from recipes.pytorch.batches import pad


def build(job: Job) -> model.Classifier:
    """Return the job's encoder with the job's head, on the CPU."""
    built = model.build(job)
    weight, bias = map(torch.from_numpy, job.head())
    built.head.load_state_dict({"weight": weight, "bias": bias})
    return built


def hidden_states(job: Job) -> Hidden:
    """Return the encoder before training, as a function."""
    encoder = model.encoder_of(job.weights, job.dropout)

    @torch.inference_mode()
    def hidden(batch: Batch, training: bool) -> np.ndarray:
        return encoder.train(training)(**pad(batch.token_ids, encoder.config.pad_token_id)).last_hidden_state.numpy()

    return hidden
