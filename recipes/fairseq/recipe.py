"""fairseq: its Trainer and command line own the loop; you register a task and a model, and fill in its dataclasses.

Pick it to reproduce fairseq's published work (RoBERTa, CamemBERT, BART, wav2vec); its last release is of 2022.

After two examples of fairseq's own: roberta/README.glue.md (the command line) and roberta/commonsense_qa (a user
directory with a task that reads its own data).
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch._dynamo  # noqa: F401  PyTorch's first optimizer imports it, for two seconds: they are no training
from fairseq import options, tasks, utils
from fairseq.dataclass.utils import convert_namespace_to_omegaconf
from fairseq.distributed.utils import distributed_init
from fairseq_cli.train import train

from recipes import weights
from recipes.contract.job import Job, Predict
from recipes.contract.schedule import warmup_steps
from recipes.fairseq.encoder import HEAD, architecture, build, predictor, save, set_head, unused_values
from recipes.fairseq.trainer import Resumable, place

USER_DIR = Path(__file__).parent / "user" / "text_classification"
CHECKPOINT = "fairseq/model.pt"  # in the model's folder
CRITERIA = {"multilabel": "multilabel_prediction", "tagging": "token_prediction"}  # else fairseq's for sentences


def configuration(job: Job, model: dict[str, int | float], task: str = "text_classification"):
    """Fill in fairseq's dataclasses, our task's and model's among them, by the words of its command line.

    `model`: what the encoder of the Hugging Face folder is, in such words. fairseq saves nothing: `Resumable` does.
    """
    settings = job.settings
    words = [str(job.folder / "job.json"), f"--save-dir={job.model / 'fairseq'}", "--disable-validation", "--no-save"]
    words += ["--freeze-word-embeddings"] if settings["freeze_word_embeddings"] else []
    words += ["--regression-target"] if job.task.name == "regression" else []
    values = {
        "user-dir": USER_DIR, "seed": job.seed % 2**31,  # it adds the epoch, and NumPy's seeds end at 2**32
        "num-workers": 0, "data-buffer-size": 0, "distributed-world-size": job.processes,
        "log-format": "none", "task": task, "num-classes": job.outputs,
        "arch": "text_classifier", "pooling": "none" if job.task.name == "tagging" else job.pooling,
        "dropout": job.dropout.hidden, "attention-dropout": job.dropout.attention,
        "criterion": CRITERIA.get(job.task.name, "sentence_prediction"), "classification-head-name": HEAD,
        "max-epoch": job.train.epochs, "update-freq": job.train.accumulate, "clip-norm": settings["max_grad_norm"],
        "required-batch-size-multiple": 1, "optimizer": "composite", "lr-scheduler": "pass_through",
    }  # fmt: skip
    words += [f"--{name}={value}" for name, value in (values | model).items()]
    cfg = convert_namespace_to_omegaconf(options.parse_args_and_arch(options.get_training_parser(), words))
    cfg.common.bf16, cfg.common.fp16 = job.precision == "bf16", job.precision == "fp16"  # --bf16 would ask for a TPU
    cfg.common.fp16_no_flatten_grads = True  # or all parameters are one, in no group
    return cfg


def max_tokens(job: Job) -> int:
    """Return how many tokens a batch has at most: as set, or as many as `train.batch_size` texts of average length."""
    lengths = job.split("train").lengths
    return int(max(job.settings["max_tokens"] or round(job.train.batch_size * np.mean(lengths)), *lengths))


def optimizers(job: Job, updates: int, optimizer: str = "adam", schedule: str = "polynomial_decay_from_1") -> dict:
    """Return fairseq's composite optimizer: the head at its own rate; no decay on biases and LayerNorm."""
    settings = job.settings
    adam = {"_name": optimizer, "adam_betas": settings["betas"], "adam_eps": settings["epsilon"]}
    line = {"_name": schedule, "warmup_updates": warmup_steps(settings["warmup"], updates), "total_num_update": updates}
    groups = {}
    for part, rate in (("encoder", settings["learning_rate"]), ("head", settings["head_learning_rate"])):
        for group, decay in ((part, settings["weight_decay"]), (f"{part}_undecayed", 0.0)):
            groups[group] = {"optimizer": adam | {"weight_decay": decay}, "lr_float": rate, "lr_scheduler": dict(line)}
    return groups


def finetune(
    job: Job,
    task_name: str = "text_classification",
    build: Callable[..., Any] = build,
    optimizers: Callable[[Job, int], dict] = optimizers,
) -> Predict:
    with job.phase("load_weights"):
        config, encoder = weights.read(job.weights)
        cfg = configuration(job, architecture(config, encoder), task_name)
        cfg.dataset.max_tokens = max_tokens(job)
        np.random.seed(cfg.common.seed)
        utils.set_torch_seed(cfg.common.seed)
        if job.processes > 1:
            place(cfg, job)
            distributed_init(cfg)
        task = tasks.setup_task(cfg.task)
        model = build(task, cfg, config, encoder)
        job.event("model", parameters=sum(p.numel() for p in model.parameters()) - unused_values(config))
        trainer = Resumable(cfg, task, model, task.build_criterion(cfg.criterion))
    with job.phase("build_data"):
        batches = trainer.get_train_iterator(epoch=1)  # loads the task's dataset
        task.total_updates = cfg.optimization.max_epoch * math.ceil(len(batches) / job.train.accumulate)
    with job.phase("train"):
        cfg.optimizer.groups = optimizers(job, task.total_updates)
        for batches in trainer.epochs():
            train(cfg, trainer, task, batches)
            job.epoch_ended(lambda: predictor(model, task))  # a step sets it to train again
    with job.phase("save"):
        save(job, model, config)
        cfg.checkpoint.no_save_optimizer_state = True
        Path(cfg.checkpoint.save_dir).mkdir(parents=True, exist_ok=True)
        trainer.save_checkpoint(str(job.model / CHECKPOINT), {})
    return predictor(model, task)


def load(job: Job) -> Predict:
    """Return the function that predicts, from the Hugging Face folder: fairseq's own file is a pickle."""
    config, encoder = weights.read(job.model)
    cfg = configuration(job, architecture(config, encoder))
    task = tasks.setup_task(cfg.task)
    model = set_head(build(task, cfg, config, encoder), weights.read_head(job.model))
    half = {"bf16": model.bfloat16, "fp16": model.half}
    half.get(job.precision, model.float)()  # as the Trainer has it
    return predictor(model.to("cuda" if torch.cuda.is_available() else "cpu"), task)
