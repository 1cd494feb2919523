"""The rows of a job as fastai takes them, and what pads a batch of them."""

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from fastai.text.data import pad_input

from recipes.contract.split import Split
from recipes.contract.tasks import IGNORED, Task
from recipes.pytorch.batches import as_taken


class Rows:
    """The rows of a split as fastai takes them: a tuple of token ids, mask, and label or labels."""

    def __init__(self, split: Split):
        self.split = split

    def __len__(self):
        return len(self.split)

    def __getitem__(self, row):
        ids = torch.tensor(self.split.token_ids[row], dtype=torch.long)
        return ids, torch.ones_like(ids), as_taken(np.array(self.split.labels[row]))


def pads(task: Task, padding: int) -> list[Callable]:
    """Return what pads the rows of a batch to the longest: ids, mask, and tags where they have some."""
    fields = [padding, 0, *([IGNORED] if task.name == "tagging" else [])]
    return [partial(pad_input, pad_idx=value, pad_fields=field) for field, value in enumerate(fields)]
