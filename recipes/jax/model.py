"""The classifier, a tree of arrays and a pure function of it: built, saved as a Hugging Face folder, read from it."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from recipes import weights
from recipes.contract.job import Dropout, Job
from recipes.jax.encoder import NO_DROPOUT, Key, dense, dropout, encode, encoder_of
from recipes.jax.trees import flat
from recipes.on_jax.texts import Texts
from recipes.weights.bert import Bert, from_ours

Params = dict[str, Any]  # the encoder's tree, as encoder.py has it, and "head": {kernel, bias}


def build(job: Job) -> tuple[Params, Bert]:
    """Return the parameters, those of the head new, and what they do not show of the encoder."""
    params, bert = encoder_of(job.weights, job.precision)
    shape = params["positions"].shape[1], job.outputs
    kernel = jax.nn.initializers.normal(0.02)(jax.random.key(job.seed), shape)
    return params | {"head": {"kernel": kernel, "bias": jnp.zeros(job.outputs)}}, bert


@partial(jax.jit, static_argnames=("bert", "pooling", "rates"))
def logits_of(
    params: Mapping[str, Any],
    texts: Texts,
    bert: Bert,
    pooling: str | None,
    rates: Dropout = NO_DROPOUT,
    key: Key = None,
) -> jax.Array:
    """Texts -> logits (texts, outputs), unpooled (rows, tokens, outputs), float32; with a key, after dropout."""
    of_encoder, of_head = (None, None) if key is None else jax.random.split(key)
    hidden = encode(params, bert, texts, rates, of_encoder).astype(jnp.float32)
    return dense(params["head"], dropout(texts.pooled(hidden, pooling), rates.hidden, of_head))


def save(params: Params, job: Job) -> None:
    """Write the Hugging Face folder."""
    encoder, head = {name: part for name, part in params.items() if name != "head"}, params["head"]
    named = from_ours(len(params["layers"]), flat(encoder))
    weights.write(job, named, {"weight": flat(head)["kernel"].T, "bias": flat(head)["bias"]})


def saved(job: Job) -> tuple[Params, Bert]:
    """Return what stands in the Hugging Face folder that a recipe has left."""
    params, bert = encoder_of(job.model, job.precision)
    weight, bias = weights.read_head(job.model)
    return params | {"head": {"kernel": weight.T, "bias": bias}}, bert
