"""The paths of weights in our encoder of NNX layers, such as `layers/0/attention/query/kernel`.

They are those of recipes/weights/bert.py, but that nnx.Embed calls its table `embedding`, and that
nnx.MultiHeadAttention holds four dense layers whose kernels and biases have the heads as an axis of their own.
"""

from recipes.weights import Weights
from recipes.weights.bert import DENSE, NORMS, TABLES, Bert, from_ours
from recipes.weights.maps import SAME, NameMap, Rule, module, split


def to_nnx(bert: Bert, weights: Weights) -> Weights:
    """Return an encoder's weights by their paths in NNX, from those by the paths in recipes/weights/bert.py."""
    return name_map(bert).to_library(weights)


def from_nnx(bert: Bert, weights: Weights) -> Weights:
    """Return an encoder's weights by AutoModel's names, exactly."""
    return from_ours(bert.layers, name_map(bert).to_hugging_face(weights))


def name_map(bert: Bert) -> NameMap:
    """Return the map from the paths in recipes/weights/bert.py.

    Query, key and value: kernel (hidden, heads, size of a head), bias (heads, size of a head); the attention's output:
    kernel (heads, size of a head, hidden).
    """
    into_heads = {"/kernel": ("/kernel", split(1, bert.heads)), "/bias": ("/bias", split(0, bert.heads))}
    of_heads = {"/kernel": ("/kernel", split(0, bert.heads)), "/bias": ("/bias", SAME)}
    attention = {f"layers/{{layer}}/{name}": (name, into_heads) for name in ("query", "key", "value")}
    attention["layers/{layer}/attention_output"] = ("out", of_heads)
    rules = [Rule(path, f"{path}/embedding") for path in TABLES.values()]
    for first, paths in (("scale", NORMS), ("kernel", DENSE)):
        own = [path for path in paths.values() if path not in attention]
        rules += [Rule(f"{path}/{end}", f"{path}/{end}") for path in own for end in (first, "bias")]
    for path, (name, ends) in attention.items():
        rules += module(path, f"layers/{{layer}}/attention/{name}", ends)
    return NameMap(rules, bert.layers)
