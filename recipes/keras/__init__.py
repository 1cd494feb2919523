"""Keras 3 with KerasHub. Before it is imported, Keras is told its backend: here.

Each environment of this recipe has one backend. Where there is none, as for its table of names alone, nothing is set.
"""

import os
from importlib.util import find_spec

if backends := [name for name in ("jax", "torch", "tensorflow") if find_spec(name)]:
    os.environ.setdefault("KERAS_BACKEND", backends[0])
if os.environ.get("KERAS_BACKEND") == "torch":
    import torch

    os.environ["KERAS_TORCH_DEVICE"] = "cuda" if torch.cuda.is_available() else "cpu"  # not Apple's GPU of itself
