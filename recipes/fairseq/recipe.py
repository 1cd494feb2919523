"""fairseq: its Trainer and command line own the loop; you register a task and a model, and fill in its dataclasses.

Pick it to reproduce fairseq's published work (RoBERTa, CamemBERT, BART, wav2vec); its last release is of 2022.
"""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch._dynamo  # noqa: F401  PyTorch's first optimizer imports it, for two seconds: they are no training
from fairseq import options, tasks, utils
from fairseq.data import data_utils
from fairseq.dataclass.utils import convert_namespace_to_omegaconf
from fairseq.distributed.utils import distributed_init
from fairseq_cli.train import train

from recipes import weights
from recipes.contract.job import Batch, Hidden, Job, Predict
from recipes.contract.schedule import warmup_steps
from recipes.fairseq import weights as names
from recipes.fairseq.trainer import Resumable, place
from recipes.weights import Weights

USER_DIR = Path(__file__).parent / "user" / "text_classification"
CHECKPOINT = "fairseq/model.pt"  # in the model's folder
HEAD = "job"  # a fairseq model has heads by name


def finetune(job: Job) -> Predict:
    with job.phase("load_weights"):
        config, encoder = weights.read(job.weights)
        cfg = configuration(job, config, encoder, job.split("train").lengths)
        np.random.seed(cfg.common.seed)
        utils.set_torch_seed(cfg.common.seed)
        if job.processes > 1:
            place(cfg, job)
            distributed_init(cfg)
        task = tasks.setup_task(cfg.task)
        model = build(task, cfg, names.to_fairseq(config, encoder), job.head() if job.controlled else None)
        job.event("model", parameters=sum(p.numel() for p in model.parameters()) - names.unused_values(config))
        trainer = Resumable(cfg, task, model, task.build_criterion(cfg.criterion))
    with job.phase("build_data"):
        batches = trainer.get_train_iterator(epoch=1)  # loads the task's dataset
        task.total_updates = cfg.optimization.max_epoch * math.ceil(len(batches) / job.train.accumulate)
    with job.phase("train"):
        cfg.optimizer.groups = optimizers(job, task.total_updates)
        for batches in trainer.epochs():
            train(cfg, trainer, task, batches)
            job.epoch_ended(lambda: predictor(model, task, job))  # a step sets it to train again
    with job.phase("save"):
        cfg.checkpoint.no_save_optimizer_state = True
        encoder, head = (arrays(part) for part in (model.encoder, model.classification_heads[HEAD].out_proj))
        weights.write(job, names.to_hugging_face(config, encoder), head)
        Path(cfg.checkpoint.save_dir).mkdir(parents=True, exist_ok=True)
        trainer.save_checkpoint(str(job.model / CHECKPOINT), {})
    return predictor(model, task, job)


def configuration(job: Job, config: dict, encoder: Weights, lengths: Sequence[int] | np.ndarray = (1,)):
    """Fill in fairseq's dataclasses, our task's and model's among them, by the words of its command line.

    `lengths` are those of the texts to train on.
    """
    pad, settings = names.padding(config), job.settings
    positions, width = encoder["embeddings.position_embeddings.weight"].shape
    tokens = settings["max_tokens"] or round(job.train.batch_size * np.mean(lengths))
    usable = positions + names.unused_rows(config) - pad - 1
    words = [str(job.folder / "job.json"), f"--save-dir={job.model / 'fairseq'}"]
    words += ["--disable-validation", "--no-save"]  # `Resumable` saves
    words += ["--freeze-word-embeddings"] if settings["freeze_word_embeddings"] else []
    values = {
        "user-dir": USER_DIR, "seed": job.seed % 2**31,  # it adds the epoch, and NumPy's seeds end at 2**32
        "num-workers": 0, "data-buffer-size": 0, "distributed-world-size": job.processes,
        "log-format": "none", "log-interval": 1 if job.controlled else 10,
        "task": "text_classification", "num-classes": len(job.labels), "pad": pad,
        "vocabulary": len(encoder["embeddings.word_embeddings.weight"]),
        "arch": "text_classifier", "encoder-layers": config["num_hidden_layers"], "encoder-embed-dim": width,
        "encoder-ffn-embed-dim": config["intermediate_size"],
        "encoder-attention-heads": config["num_attention_heads"],
        "max-positions": usable, "max-source-positions": usable,
        "segments": len(encoder["embeddings.token_type_embeddings.weight"]),
        "layer-norm-eps": config.get("layer_norm_eps", 1e-12), "pooling": job.pooling,
        "dropout": job.dropout.hidden, "attention-dropout": job.dropout.attention,
        "criterion": "sentence_prediction", "classification-head-name": HEAD,
        "max-epoch": job.train.epochs, "max-tokens": int(max(tokens, *lengths)),
        "required-batch-size-multiple": 1, "clip-norm": settings["max_grad_norm"],
        "update-freq": job.train.accumulate, "optimizer": "composite", "lr-scheduler": "pass_through",
    }  # fmt: skip
    words += [f"--{name}={value}" for name, value in values.items()]
    cfg = convert_namespace_to_omegaconf(options.parse_args_and_arch(options.get_training_parser(), words))
    cfg.common.bf16 = job.precision == "bf16"  # --bf16 would ask for a TPU
    return cfg


def optimizers(job: Job, updates: int) -> dict:
    """Return fairseq's composite optimizer: the head at its own rate; no decay on biases and LayerNorm."""
    settings, name = job.settings, "torch_adamw" if job.controlled else "adam"
    schedule = {
        "_name": "polynomial_decay" if job.controlled else "polynomial_decay_from_1",
        "warmup_updates": warmup_steps(settings["warmup"], updates),
        "total_num_update": updates,
    }
    groups = {}
    for part, rate in (("encoder", settings["learning_rate"]), ("head", settings["head_learning_rate"])):
        for group, decay in ((part, settings["weight_decay"]), (f"{part}_undecayed", 0.0)):
            optimizer = {"_name": name, "adam_betas": settings["betas"]}
            optimizer |= {"adam_eps": settings["epsilon"], "weight_decay": decay}
            groups[group] = {"optimizer": optimizer, "lr_float": rate, "lr_scheduler": dict(schedule)}
    return groups


def build(task, cfg, encoder: Weights, head: weights.Head | None):
    """Return the model on the CPU, in fp32: the given encoder, and the given head or a new one."""
    model = task.build_model(cfg.model)
    model.encoder.load_state_dict({name: torch.from_numpy(values) for name, values in encoder.items()})
    if head:
        weight, bias = map(torch.from_numpy, head)
        model.classification_heads[HEAD].out_proj.load_state_dict({"weight": weight, "bias": bias})
    return model


def arrays(module: torch.nn.Module) -> Weights:
    """Return a module's weights, float32."""
    return {name: values.float().cpu().numpy() for name, values in module.state_dict().items()}


def load(job: Job) -> Predict:
    """Return the function that predicts, from the Hugging Face folder: fairseq's own file is a pickle."""
    config, encoder = weights.read(job.model)
    cfg = configuration(job, config, encoder)
    task = tasks.setup_task(cfg.task)
    model = build(task, cfg, names.to_fairseq(config, encoder), weights.read_head(job.model))
    if job.precision == "bf16":
        model.to(torch.bfloat16)  # as the Trainer has it
    return predictor(model.to("cuda" if torch.cuda.is_available() else "cpu"), task, job)


def predictor(model, task, job: Job) -> Predict:
    """Return the function that predicts with `model` where it is."""
    model.eval()

    @torch.inference_mode()
    def predict(batch: Batch) -> np.ndarray:
        tokens = padded(batch, task).to(model.encoder.embed_tokens.weight.device)
        logits, _ = model(tokens, HEAD)
        return logits.float().cpu().numpy()

    return predict


def padded(batch: Batch, task) -> torch.Tensor:
    """Pad token ids to the longest row: (rows, tokens)."""
    rows = [torch.tensor(ids, dtype=torch.long) for ids in batch.token_ids]
    return data_utils.collate_tokens(rows, task.source_dictionary.pad())


def hidden_states(job: Job) -> Hidden:
    """Return the encoder before training, as a function."""
    config, encoder = weights.read(job.weights)
    cfg = configuration(job, config, encoder)
    task = tasks.setup_task(cfg.task)
    model = build(task, cfg, names.to_fairseq(config, encoder), job.head() if job.controlled else None)

    @torch.inference_mode()
    def hidden(batch: Batch, training: bool) -> np.ndarray:
        found = model.train(training).encoder(padded(batch, task))
        return found["encoder_out"][0].transpose(0, 1).numpy()

    return hidden
