"""PyTorch's AdamW as an optimizer of fairseq."""

import torch
from fairseq.optim import FairseqOptimizer, register_optimizer
from fairseq.optim.adam import FairseqAdam, FairseqAdamConfig


@register_optimizer("torch_adamw", dataclass=FairseqAdamConfig)
class TorchAdamW(FairseqAdam):
    """PyTorch's: fairseq's own adam adds epsilon before it corrects the second moment's bias."""

    def __init__(self, cfg, params):
        FairseqOptimizer.__init__(self, cfg)
        self._optimizer = torch.optim.AdamW(params, fused=True, **self.optimizer_config)
