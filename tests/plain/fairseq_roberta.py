"""A RoBERTa classifier trained with fairseq's own commands: `python fairseq_roberta.py FOLDER`.

It leaves fairseq-train's checkpoint, and in seen.npz token ids with the hidden states and logits that fairseq computes.
"""

import functools
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch

MODEL = "--arch roberta_base --encoder-layers 2 --encoder-embed-dim 32 --encoder-ffn-embed-dim 64 --max-positions 40"
TASK = "--task sentence_prediction --criterion sentence_prediction --num-classes 3 --init-token 0"
TRAINING = "--optimizer adam --lr 1e-3 --batch-size 8 --max-update 3 --cpu --num-workers 0 --disable-validation"


def fairseq(command: str, *words: str) -> None:
    subprocess.run([sys.executable, "-m", f"fairseq_cli.{command}", *words], check=True, stdout=sys.stderr)


folder, chosen = Path(sys.argv[1]), random.Random(0)
for split, rows in ("train", 60), ("valid", 10):
    texts = [" ".join(f"w{chosen.randrange(60)}" for _ in range(chosen.randint(3, 9))) for _ in range(rows)]
    (folder / f"{split}.text").write_text("\n".join(texts) + "\n")
    (folder / f"{split}.label").write_text("\n".join(chosen.choice("abc") for _ in texts) + "\n")
for kind, name in ("text", "input0"), ("label", "label"):
    prefixes = ["--trainpref", f"{folder}/train.{kind}", "--validpref", f"{folder}/valid.{kind}"]
    fairseq("preprocess", "--only-source", "--workers", "1", *prefixes, "--destdir", f"{folder}/data/{name}")
words = f"{TASK} {MODEL} --encoder-attention-heads 4 {TRAINING} --save-dir {folder}/checkpoints".split()
fairseq("train", f"{folder}/data", *words)

from fairseq.models.roberta import RobertaModel  # noqa: E402

torch.load = functools.partial(torch.load, weights_only=False)  # fairseq is older than that argument
roberta = RobertaModel.from_pretrained(f"{folder}/checkpoints", "checkpoint_last.pt", f"{folder}/data", bpe=None)
roberta.eval()
ids = torch.tensor([[0, 7, 9, 30, 2, 1, 1], [0, 5, 63, 12, 40, 8, 2]])  # padded with 1
with torch.inference_mode():
    hidden = roberta.extract_features(ids)
    logits = roberta.model.classification_heads["sentence_classification_head"](hidden)
np.savez(folder / "seen.npz", ids=ids, mask=ids != 1, hidden=hidden, logits=logits)
