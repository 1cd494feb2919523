"""What transformers computes with a converted folder, against what its library did: `read_again.py FOLDER seen.npz`.

Prints JSON: the class, the largest differences of hidden states and logits, the tokenizer's class and a text's ids.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification, AutoTokenizer

folder, seen = Path(sys.argv[1]), np.load(sys.argv[2])
ids, mask = torch.tensor(seen["ids"].astype(int)), torch.tensor(seen["mask"].astype(int))
told = {"class": AutoConfig.from_pretrained(folder).architectures[0]}
with torch.inference_mode():
    model = AutoModel.from_pretrained(folder).eval()
    hidden = model(input_ids=ids, attention_mask=mask).last_hidden_state.numpy()
    told["hidden"] = float(np.abs(hidden - seen["hidden"])[seen["mask"].astype(bool)].max())
    if told["class"].endswith("ForSequenceClassification"):
        model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
        told["logits"] = float(np.abs(model(input_ids=ids, attention_mask=mask).logits.numpy() - seen["logits"]).max())
if (folder / "tokenizer.json").is_file():
    tokenizer = AutoTokenizer.from_pretrained(folder)
    told["tokens"] = tokenizer("chef of the ward")["input_ids"]
print(json.dumps(told))
