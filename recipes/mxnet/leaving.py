"""Parameters of gluonnlp's BERTModel and RoBERTaModel, as `save_parameters` writes them, for scripts/convert.py."""

from pathlib import Path

import mxnet as mx

from recipes.mxnet.weights import DENSE, EMBEDDINGS, NORMS
from recipes.weights import Weights
from recipes.weights.leaving import HEADS, POOLER, SEGMENTS, Checkpoint, tensors

ENDS = {
    "table": {"": ""},
    "norm": {".weight": ".gamma", ".bias": ".beta"},
    "dense": {".weight": ".weight", ".bias": ".bias"},
}
PRETRAINING = ("decoder.", "classifier.")  # BERTModel's heads: of masked words, and of the next sentence


def read(path: Path) -> Checkpoint:
    """Return what a .params file holds; one that `export` wrote has other names, and is refused."""
    try:
        found = mx.nd.load(str(path))
    except mx.MXNetError as error:
        raise ValueError(f"MXNet cannot read it: {str(error).splitlines()[-1]}") from None
    if not isinstance(found, dict) or any(name.startswith(("arg:", "aux:")) for name in found):
        raise ValueError("its arrays have a symbol's names, or none: load it into the block, and `save_parameters`.")
    arrays = {name: values.asnumpy() for name, values in found.items()}
    bert = any(name.endswith(EMBEDDINGS[SEGMENTS]) for name in arrays)
    said = {} if bert else {"model_type": "roberta"}
    heads = head(arrays, "bert" if bert else "roberta")
    table = tensors(ENDS, [EMBEDDINGS, NORMS, DENSE]) | heads
    return Checkpoint(arrays, table, said=said, apart=PRETRAINING, from_zero=not bert)


def head(arrays: Weights, kind: str) -> dict[str, str]:
    """Return the names of BERTClassifier's or RoBERTaClassifier's head: a Sequential, with or without dropouts."""
    dense = sorted({name.split(".")[1] for name in arrays if name.startswith("classifier.") and name.count(".") == 2})
    names = [f"classifier.{number}.{end}" for number in dense for end in ("weight", "bias")]
    if kind == "roberta":
        return dict(zip(HEADS[kind], names, strict=False))
    return {name: name.replace(".dense", "") for name in POOLER} | dict(
        zip(HEADS[kind][len(POOLER) :], names, strict=False)
    )
