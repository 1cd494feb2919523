"""What JAX and optax compute under a name: of an encoder's activation, of a task's loss."""

from functools import partial

import jax
import optax

ACTIVATIONS = {  # by config.json's hidden_act
    "gelu": partial(jax.nn.gelu, approximate=False),
    "gelu_new": jax.nn.gelu,
    "gelu_pytorch_tanh": jax.nn.gelu,
    "relu": jax.nn.relu,
}
LOSSES = {  # by the task: what the head gives, (…, outputs), and labels -> the loss of each text, or token
    "classification": optax.softmax_cross_entropy_with_integer_labels,
    "multilabel": lambda logits, labels: optax.sigmoid_binary_cross_entropy(logits, labels).mean(-1),
    "tagging": optax.softmax_cross_entropy_with_integer_labels,
    "regression": lambda outputs, labels: optax.squared_error(outputs[:, 0], labels),
}
