"""fairseq's schedule without a step at rate 0."""

from fairseq.optim.lr_scheduler import register_lr_scheduler
from fairseq.optim.lr_scheduler.polynomial_decay_schedule import (
    PolynomialDecayLRSchedule,
    PolynomialDecayLRScheduleConfig,
)


@register_lr_scheduler("polynomial_decay_from_1", dataclass=PolynomialDecayLRScheduleConfig)
class FromOne(PolynomialDecayLRSchedule):
    """fairseq's own, which counts the updates from 1, as one more: from 0, the first of a warm-up is at rate 0."""

    def __init__(self, cfg, optimizer):
        cfg.warmup_updates, cfg.total_num_update = cfg.warmup_updates + 1, cfg.total_num_update + 1
        super().__init__(cfg, optimizer)

    def step_update(self, num_updates):
        return super().step_update(num_updates + 1)
