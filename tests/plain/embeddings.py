"""What transformers makes of texts: `embeddings.py FOLDER OUT.npz` with a JSON list of texts as its input.

OUT.npz has their token ids, end to end, how many each has, and the means of their last hidden states.
"""

import json
import sys

import numpy as np
import torch
from transformers import AutoModel, AutoTokenizer

folder, out = sys.argv[1:]
tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
ids, means = [], []
with torch.inference_mode():
    for text in json.load(sys.stdin):
        ids.append(tokenizer(text)["input_ids"])
        means.append(model(input_ids=torch.tensor(ids[-1:])).last_hidden_state[0].mean(0).numpy())
np.savez(out, ids=np.concatenate(ids), lengths=[*map(len, ids)], means=means)
