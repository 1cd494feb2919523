"""fairseq beside the tutorial: its Trainer with the job's checkpoints, and its distributed training as placed."""

import torch
from fairseq.trainer import Trainer

from recipes.contract.job import Job


class Resumable(Trainer):
    """fairseq's Trainer, which makes its checkpoints when the job asks for them, and goes on from one."""

    @property
    def should_save_checkpoint_on_current_rank(self):
        """Tell whether this process saves: the first on its machine, for machines may share no folder."""
        return not self.task.job.local_rank

    def epochs(self):
        """Yield the batches of each epoch there is to do, the first from where the checkpoint is."""
        job, at = self.task.job, {"epoch": 1, "iterations_in_epoch": 0}
        if checkpoint := job.checkpoints.newest():
            extra = self.load_checkpoint(str(checkpoint / "checkpoint.pt"), reset_meters=True)
            at = extra["train_iterator"]
            for weights, saved in zip(self.full_precision(), extra["full_precision"], strict=True):
                weights.copy_(saved)
            self.task.updates = self.get_num_updates()
        for epoch in range(at["epoch"], self.cfg.optimization.max_epoch + 1):
            self.batches = self.get_train_iterator(epoch, load_dataset=False)
            if epoch == at["epoch"]:
                self.batches.load_state_dict(at)
            yield self.batches

    def train_step(self, samples, raise_oom=False):
        output, checkpoints = super().train_step(samples, raise_oom), self.task.job.checkpoints
        if checkpoints.due(self.get_num_updates()):
            self.consolidate_optimizer()
            with checkpoints.writing(self.get_num_updates()) as folder:
                extra = {"train_iterator": self.batches.state_dict(), "full_precision": self.full_precision()}
                self.save_checkpoint(str(folder / "checkpoint.pt"), extra)
        return output

    def full_precision(self):
        """Return the fp32 weights of half precision, which the optimizer steps: fairseq makes them of rounded ones."""
        half = self.cfg.common.bf16 or self.cfg.common.fp16
        return [weights.data for weights in self.optimizer.fp32_params] if half else []


def place(cfg, job: Job) -> None:
    """Fill in fairseq's dataclass of distributed training; rank and address are those that accelerate has given."""
    training, on_cpu = cfg.distributed_training, job.placement.use_cpu
    cfg.checkpoint.load_checkpoint_on_all_dp_ranks = True  # it would send them as pickles that torch.load refuses
    training.distributed_rank, training.distributed_no_spawn = job.rank, True
    training.distributed_init_method = "env://"
    training.distributed_backend = "gloo" if on_cpu else "nccl"
    training.ddp_backend = "legacy_ddp" if on_cpu else "pytorch_ddp"  # PyTorch's, as fairseq calls it, asks for a GPU
    if not on_cpu:
        torch.cuda.set_device(training.device_id)  # by default $LOCAL_RANK
