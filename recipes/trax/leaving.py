"""Checkpoints that Trax's Loop, or Layer.save_to_file, wrote of trax.models.research.bert, for scripts/convert.py.

They hold arrays without names, in the order of the layers. That order is in Trax's own bert.py, PretrainedBERT, where
Google's weights are read into it.
"""

import gzip
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from recipes.weights.leaving import HEADS, POOLER, POSITIONS, SEGMENTS, WORDS, Checkpoint

PARTS = ("query", "key", "value")
BEFORE = (WORDS, SEGMENTS, POSITIONS, "embeddings.LayerNorm.weight", "embeddings.LayerNorm.bias")
LAYER = [
    f"encoder.layer.{{layer}}.{name}"
    for name in (
        *(f"attention.self.{part}.weight" for part in PARTS),
        "attention.output.dense.weight",
        *(f"attention.self.{part}.bias" for part in PARTS),
        "attention.output.dense.bias",
        "attention.output.LayerNorm.weight",
        "attention.output.LayerNorm.bias",
        *(f"{part}.dense.{end}" for part in ("intermediate", "output") for end in ("weight", "bias")),
        "output.LayerNorm.weight",
        "output.LayerNorm.bias",
    )
]


def read(path: Path) -> Checkpoint:
    """Return what a checkpoint holds: the folder of a Loop, or a .weights.npy.gz or .pkl.gz."""
    arrays = [wide(array) for array in arrays_of(path)]
    layers, rest = divmod(len(arrays) - len(BEFORE), len(LAYER))
    if rest not in (0, len(POOLER), len(HEADS["bert"])) or layers < 1 or arrays[len(BEFORE)].ndim != 3:
        raise ValueError(
            f"these {len(arrays)} arrays are not those of trax.models.research.bert: it has {len(BEFORE)}, "
            f"{len(LAYER)} a layer, 2 of a pooler and 2 of a classifier's head."
        )
    names = [*BEFORE, *(name.format(layer=layer) for layer in range(layers) for name in LAYER), *HEADS["bert"][:rest]]
    found = {name: flat(name, array) for name, array in zip(names, arrays, strict=True)}
    said = {"model_type": "bert", "num_attention_heads": len(arrays[len(BEFORE)])}
    return Checkpoint(found, {name: name for name in (*BEFORE, *LAYER, *HEADS["bert"])}, True, said)


def flat(name: str, array: np.ndarray) -> np.ndarray:
    """Return an array without the axes that Trax has more: of heads, and one of the positions."""
    if name == POSITIONS:
        return array.reshape(array.shape[-2:])
    if name.endswith(".bias"):
        return array.reshape(-1)
    if array.ndim == 3 and ".attention.self." in name:  # heads, in, size
        return array.transpose(1, 0, 2).reshape(array.shape[1], -1)
    return array.reshape(-1, array.shape[2]) if array.ndim == 3 else array  # heads, size, out


def wide(array: np.ndarray) -> np.ndarray:
    """Return float32; of bfloat16 Trax keeps the 16 bits."""
    array = np.asarray(array)
    return (array.astype(np.uint32) << 16).view(np.float32) if array.dtype == np.uint16 else array.astype(np.float32)


def arrays_of(path: Path) -> list[np.ndarray]:
    """Return the weights, in the layers' order."""
    path = path / "model.pkl.gz" if path.is_dir() else path
    beside = path if path.name.endswith(".npy.gz") else path.with_name(path.name[: -len("pkl.gz")] + "weights.npy.gz")
    if beside.is_file():
        return saved(beside)
    with gzip.open(path, "rb") as file:
        weights = Arrays(file).load()["flat_weights"]
    if isinstance(weights, int):
        raise ValueError(f"its weights are in another file, {beside}, and that is not there.")
    return weights


def saved(path: Path) -> list[np.ndarray]:
    """Return the arrays that numpy.save wrote one after the other."""
    found = []
    with gzip.open(path, "rb") as file:
        while file.peek(1):
            found.append(np.load(file, allow_pickle=False))
    return found


class Arrays(pickle.Unpickler):
    """Reads arrays of numpy and JAX alone: whatever else a pickle asks for could run code of whoever wrote it."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("jax._src.array", "_reconstruct_array"):
            return from_jax
        if module.startswith("numpy") and name in ("ndarray", "dtype", "_reconstruct", "scalar", "_frombuffer"):
            return super().find_class(module, name)
        if (module, name) == ("trax.shapes", "ShapeDtype"):  # of its input, which is not looked at
            return Unused
        raise ValueError(f"its pickle asks for {module}.{name}, which is no array: save the weights alone.")


class Unused:
    """Stands for what is in a checkpoint beside the weights."""

    def __setstate__(self, state: object) -> None:
        pass


def from_jax(make: Any, arguments: tuple, state: tuple, _: object) -> np.ndarray:
    """Return as numpy's an array of JAX, which JAX pickles as numpy's with a word to make its own of it."""
    array = make(*arguments)
    array.__setstate__(state)
    return array
