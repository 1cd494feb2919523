"""PyTorch's AdamW as an optimizer of fairseq, and its schedule without a step at rate 0."""

import torch
from fairseq.optim import FairseqOptimizer, register_optimizer
from fairseq.optim.adam import FairseqAdam, FairseqAdamConfig
from fairseq.optim.lr_scheduler import register_lr_scheduler
from fairseq.optim.lr_scheduler.polynomial_decay_schedule import (
    PolynomialDecayLRSchedule,
    PolynomialDecayLRScheduleConfig,
)


@register_optimizer("torch_adamw", dataclass=FairseqAdamConfig)
class TorchAdamW(FairseqAdam):
    """PyTorch's: fairseq's own adam adds epsilon before it corrects the second moment's bias."""

    def __init__(self, cfg, params):
        FairseqOptimizer.__init__(self, cfg)
        self._optimizer = torch.optim.AdamW(params, fused=True, **self.optimizer_config)


@register_lr_scheduler("polynomial_decay_from_1", dataclass=PolynomialDecayLRScheduleConfig)
class FromOne(PolynomialDecayLRSchedule):
    """fairseq's own, which counts the updates from 1, as one more: from 0, the first of a warm-up is at rate 0."""

    def __init__(self, cfg, optimizer):
        cfg.warmup_updates, cfg.total_num_update = cfg.warmup_updates + 1, cfg.total_num_update + 1
        super().__init__(cfg, optimizer)

    def step_update(self, num_updates):
        return super().step_update(num_updates + 1)
