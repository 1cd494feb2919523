"""What a training costs in arithmetic: the operations that its real tokens need, whatever a library did beside."""

from collections.abc import Mapping
from typing import Any

import numpy as np

BERT_LIKE = {"bert", "camembert", "distilbert", "roberta", "xlm-roberta"}  # whose layers are what is counted here
NAMES = {  # of DistilBERT
    "num_hidden_layers": "n_layers", "hidden_size": "dim", "intermediate_size": "hidden_dim",
}  # fmt: skip


def training_gflop(config: Mapping[str, Any], lengths: np.ndarray, epochs: int, outputs: int) -> float | None:
    """Return the useful operations of a training, in 10^9: a multiplication and an addition are two.

    For a text of n tokens, L layers of width d and inner width f: forward 2 x L x (4 d² + 2 d f) x n for the matrices,
    4 x L x d x n² for attention (queries with keys, weights with values), 2 x d x outputs for the head; backward twice
    that. So in Kaplan et al., Scaling Laws for Neural Language Models (2020), section 2.1, and, with attention
    written out, in Chowdhery et al., PaLM (2022), appendix B. Embeddings are looked up and cost nothing beside,
    frozen or not.
    """
    if config.get("model_type") not in BERT_LIKE:
        return None
    layers, width, inner = (int(config.get(name) or config[other]) for name, other in NAMES.items())
    tokens, squares = int(lengths.sum()), int((lengths.astype(np.int64) ** 2).sum())
    forward = 2 * layers * (4 * width**2 + 2 * width * inner) * tokens
    forward += 4 * layers * width * squares + 2 * width * outputs * len(lengths)
    return 3 * forward * epochs / 1e9


def figures(useful: float | None, peak: float | None, seconds: float | None, devices: int) -> dict[str, float | None]:
    """Return the figures of result.json; `peak` is that of one device, in 10^9 operations a second."""
    share = useful / seconds / (peak * devices) if useful and peak and seconds else None
    return {
        "compute.useful_gflop": round(useful, 3) if useful else None,
        "compute.peak_gflops": peak,
        "compute.share_of_peak": round(share, 4) if share else None,
    }
