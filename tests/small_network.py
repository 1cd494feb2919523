"""Write a small encoder with random weights: `python small_network.py ARCHITECTURE FOLDER` (needs transformers).

As the larger models that one cannot have here are stored on the hub: below a masked language model, in fp16.
"""

import sys
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForMaskedLM

architecture, folder = sys.argv[1], Path(sys.argv[2])
names = {"hidden_size": "dim", "num_hidden_layers": "n_layers", "num_attention_heads": "n_heads"}
size = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
size |= {"vocab_size": 30522, "max_position_embeddings": 140, "initializer_range": 0.2}
if architecture == "distilbert":
    size = {{**names, "intermediate_size": "hidden_dim"}.get(name, name): value for name, value in size.items()}
if architecture in ("roberta", "camembert"):
    size |= {"type_vocab_size": 1, "layer_norm_eps": 1e-5}  # as all published ones
if architecture == "e5":  # BERT's, with another vocabulary and its id of padding
    architecture, size = "bert", {**size, "vocab_size": 250_037, "pad_token_id": 1}
torch.manual_seed(0)
model = AutoModelForMaskedLM.from_config(AutoConfig.for_model(architecture, **size))
with torch.no_grad():
    for name, parameter in model.named_parameters():
        if name.endswith("bias") or "LayerNorm" in name:  # fresh ones are all 0 or 1: nothing could be mistaken
            parameter.add_(0.1 * torch.randn_like(parameter))
model.half().save_pretrained(folder)
