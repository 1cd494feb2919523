"""fairseq's own guide on our data: "Finetuning RoBERTa on a custom classification task", in its repository as
examples/roberta/README.custom_classification.md.

With its settings: the stock roberta architecture and its head (first position, dense, tanh), batches of 8 rows in
random order padded to their longest, 4 of them to an update, adam at 1e-5 with 6 % warm-up and decay 0.1, fp16 on a GPU
(on a CPU fairseq has none). Its words are the token ids of our model, cut at 128 (the guide: at 512). The model is our
weights under RoBERTa's names, the token-type embedding added to the positions; the guide's dictionary puts ids
elsewhere. The epochs are the job's; its evaluation after each is left out, and of the checkpoints all but the last.

`python benchmarks/tutorials/fairseq.py JOB.json OUT.npz`, with fairseq's environment: saves the test split's `logits`
(rows, labels) and prints the seconds of the training, as fairseq itself reports them.
"""

import argparse
import logging
import math
import re
import sys
import tempfile
from pathlib import Path

sys.path.pop(0)  # this folder: this file has the library's name
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import torch
from fairseq import checkpoint_utils, options, tasks
from fairseq.data import data_utils
from fairseq.dataclass.utils import convert_namespace_to_omegaconf
from fairseq_cli import preprocess
from fairseq_cli.train import main

from recipes import weights
from recipes.contract.job import Job
from recipes.fairseq.weights import to_fairseq, unused_rows

SPECIAL = 4  # <s> <pad> </s> <unk>: what a fairseq dictionary begins with
PAD = 1

job = Job.read(Path(sys.argv[1]))
train, test = job.split("train"), job.split("test")
first, last = (int(train.token_ids[0][at]) for at in (0, -1))  # [CLS] and [SEP]


def words(split, row):
    return [str(number) for number in split.token_ids[row][1:-1]]


def format_and_preprocess(folder, vocabulary):
    """Steps 2 to 4: one text a line, one label a line, both made binary."""
    lines = [" ".join(words(train, row)) for row in range(len(train))]
    (folder / "train.input0.bpe").write_text("\n".join(lines) + "\n")
    (folder / "train.label").write_text("\n".join(str(label) for label in train.labels) + "\n")
    (folder / "dict.txt").write_text("".join(f"{number} 1\n" for number in range(vocabulary)))
    for name, file, more in (
        ("input0", "train.input0.bpe", ["--srcdict", str(folder / "dict.txt")]),
        ("label", "train.label", []),
    ):
        arguments = ["--only-source", "--trainpref", str(folder / file), "--destdir", str(folder / "bin" / name), *more]
        preprocess.main(options.get_preprocessing_parser().parse_args(arguments))


def command(folder, config, positions):
    """Step 5: the words of fairseq-train."""
    updates = job.train.epochs * math.ceil(len(train) / 32)
    values = {
        "restore-file": folder / "model.pt", "save-dir": folder / "checkpoints", "max-positions": positions,
        "batch-size": 8, "max-tokens": 4400, "task": "sentence_prediction", "required-batch-size-multiple": 1,
        "init-token": 0, "separator-token": 2, "arch": "roberta", "criterion": "sentence_prediction",
        "classification-head-name": "job_head", "num-classes": len(np.unique(train.labels)),
        "dropout": 0.1, "attention-dropout": 0.1, "weight-decay": 0.1, "optimizer": "adam",
        "adam-betas": "(0.9, 0.98)", "adam-eps": 1e-06, "clip-norm": 0.0, "lr-scheduler": "polynomial_decay",
        "lr": 1e-05, "total-num-update": updates, "warmup-updates": int(0.06 * updates),
        "max-epoch": job.train.epochs, "shorten-method": "truncate", "update-freq": 4, "seed": job.seed,
        # ours: the size of the encoder, and one checkpoint in place of one an epoch
        "encoder-layers": config["num_hidden_layers"], "encoder-embed-dim": config["hidden_size"],
        "encoder-ffn-embed-dim": config["intermediate_size"],
        "encoder-attention-heads": config["num_attention_heads"],
        "save-interval": job.train.epochs, "distributed-world-size": 1,
    }  # fmt: skip
    found = [str(folder / "bin"), "--reset-optimizer", "--reset-dataloader", "--reset-meters"]
    found += ["--find-unused-parameters", "--disable-validation", "--no-epoch-checkpoints", "--no-save-optimizer-state"]
    if torch.cuda.is_available():
        found += ["--fp16", "--fp16-init-scale=4", "--threshold-loss-scale=1", "--fp16-scale-window=128"]
    return found + [f"--{name}={value}" for name, value in values.items()]


def pretrained(cfg, encoder, config):
    """Return the checkpoint that stands for roberta.large/model.pt: our weights under RoBERTa's names."""
    state = tasks.setup_task(cfg.task).build_model(cfg.model).state_dict()
    found = {name: torch.from_numpy(values) for name, values in to_fairseq(config, encoder).items()}
    rows = state["encoder.sentence_encoder.embed_tokens.weight"].clone()
    ids = found["embed_tokens.weight"]
    rows[SPECIAL : SPECIAL + len(ids)], rows[0], rows[2] = ids, ids[first], ids[last]
    positions = found["embed_positions.weight"][config["pad_token_id"] + 1 :] + found.pop("embed_segments.weight")[0]
    found |= {
        "embed_tokens.weight": rows,
        "embed_positions.weight": torch.nn.functional.pad(positions, (0, 0, PAD + 1, 0)),
    }
    state |= {f"encoder.sentence_encoder.{name}": values for name, values in found.items()}
    state["encoder.lm_head.weight"] = rows
    history = [{"criterion_name": "", "optimizer_name": "", "lr_scheduler_state": {}, "num_updates": 0}]
    extra = {"train_iterator": {"epoch": 1}}
    return {"model": state, "optimizer_history": history, "extra_state": extra, "last_optimizer_state": None}


class Seconds(logging.Handler):
    """Take the seconds from what fairseq-train logs at its end."""

    found = math.nan

    def emit(self, record):
        if match := re.match(r"done training in ([\d.]+) seconds", record.getMessage()):
            self.found = float(match[1])


seconds = Seconds()
logging.getLogger("fairseq_cli.train").addHandler(seconds)
with tempfile.TemporaryDirectory(dir=Path(sys.argv[2]).resolve().parent) as name:
    folder = Path(name)
    config, encoder = weights.read(job.weights)
    format_and_preprocess(folder, len(encoder["embeddings.word_embeddings.weight"]))
    positions = len(encoder["embeddings.position_embeddings.weight"]) + unused_rows(config) - config["pad_token_id"] - 1
    parser = options.get_training_parser()
    cfg = convert_namespace_to_omegaconf(options.parse_args_and_arch(parser, command(folder, config, positions)))
    torch.save(pretrained(cfg, encoder, config), folder / "model.pt")
    main(cfg)
    torch.serialization.add_safe_globals([argparse.Namespace])  # the settings in fairseq's checkpoint
    last_one = [str(folder / "checkpoints" / "checkpoint_last.pt")]
    (model,), _, task = checkpoint_utils.load_model_ensemble_and_task(last_one)

model.eval()
column = {
    int(label): task.label_dictionary.index(str(label)) - task.label_dictionary.nspecial for label in set(train.labels)
}
logits = np.full((len(test), len(job.labels)), -100.0, np.float32)
with torch.inference_mode():
    for at in range(0, len(test), 64):
        rows = range(at, min(at + 64, len(test)))
        tokens = [torch.tensor([0, *(int(word) + SPECIAL for word in words(test, row)), 2]) for row in rows]
        found, _ = model(data_utils.collate_tokens(tokens, PAD), classification_head_name="job_head")
        for label, place in column.items():
            logits[at : at + len(rows), label] = found[:, place].float().numpy()
np.savez(sys.argv[2], logits=logits)
print(seconds.found)
