"""Checkpoints that TensorFlow wrote of a BERT in Sonnet's modules, for scripts/convert.py.

Sonnet has no BERT of its own, so names are those of whoever wrote one. Known are BERT's own names with Sonnet's ends
(encoder/layer/0/attention/self/query/w), those of Google's BERT, and of the modules in this room; others are told in a
file, see docs/leaving.md.
"""

from pathlib import Path

import tensorflow as tf

from recipes.weights.bert import DENSE, NORMS, TABLES
from recipes.weights.leaving import POOLER, WORDS, Checkpoint, tensors

VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"  # how tf.train.Checkpoint ends the path of a variable


def read(path: Path) -> Checkpoint:
    """Return what a checkpoint holds: its prefix, its .index file, a folder of several, or a SavedModel."""
    reader = tf.train.load_checkpoint(str(prefix_of(path)))
    numbers = {name: kind for name, kind in reader.get_variable_to_dtype_map().items() if kind.is_floating}
    arrays = {name.removesuffix(VALUE): reader.get_tensor(name) for name in numbers if "/.OPTIMIZER_SLOT/" not in name}
    return Checkpoint(arrays, next((one for one in TABLES_KNOWN if there(one[WORDS], arrays)), TABLES_KNOWN[0]), True)


def prefix_of(path: Path) -> Path:
    """Return what TensorFlow calls a checkpoint: its files' common beginning."""
    if path.suffix == ".index":
        return path.with_suffix("")
    if not path.is_dir():
        return path
    if (path / "variables" / "variables.index").is_file():  # a SavedModel
        return path / "variables" / "variables"
    if latest := tf.train.latest_checkpoint(str(path)):
        return Path(latest)
    raise ValueError(f"{path} has no checkpoint: neither a file called checkpoint, nor variables/.")


def there(words: str, arrays: dict) -> bool:
    return any(name == words or name.endswith("/" + words) for name in arrays)


def plain(ends: dict[str, dict[str, str]], layer: str) -> dict[str, str]:
    """Return the table of Hugging Face's own names as paths, with other ends."""
    paths = [{name: as_path(name, layer) for name in names} for names in (TABLES, NORMS, DENSE)]
    pooler = {name: "pooler/dense" + ends["dense"]["." + name.rpartition(".")[2]] for name in POOLER}
    return tensors(ends, paths) | pooler


def as_path(name: str, layer: str) -> str:
    return name.removesuffix(".weight").replace(".", "/").replace("layer/{layer}", layer)


SONNET = {  # Hugging Face's ends -> Sonnet's
    "table": {"": "/embeddings"},
    "norm": {".weight": "/scale", ".bias": "/offset"},
    "dense": {".weight": "/w", ".bias": "/b"},
}
GOOGLE = {
    "table": {"": ""},
    "norm": {".weight": "/gamma", ".bias": "/beta"},
    "dense": {".weight": "/kernel", ".bias": "/bias"},
}
TABLES_KNOWN = [
    plain(SONNET, "layer/{layer}"),
    plain(GOOGLE, "layer_{layer}"),
    tensors(SONNET, [TABLES, NORMS, DENSE]),  # of this room
]
