"""What recipes/weights/bert.py calls Sonnet's variables."""

import numpy as np
import sonnet as snt
import tensorflow as tf

ENDS = {"w": "/kernel", "b": "/bias", "scale": "/scale", "offset": "/bias", "embeddings": ""}


def named(encoder: snt.Module) -> dict[str, np.ndarray]:
    """Return the numbers of an encoder's variables by their paths in our tree."""
    return {path(variable): variable.numpy() for variable in encoder.variables}


def path(variable: tf.Variable) -> str:
    """Return a variable's path: classifier/encoder/layer_0/query/w:0 is layers/0/query/kernel."""
    module, _, end = variable.name.partition(":")[0].rpartition("encoder/")[2].rpartition("/")
    return module.replace("layer_", "layers/") + ENDS[end]
