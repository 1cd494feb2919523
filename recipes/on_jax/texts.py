"""Texts as a model on JAX takes them, padded or packed: token ids, which attends to which, what is pooled of each."""

from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp


class Padded(NamedTuple):
    """A text in each row, and padding behind it."""

    ids: jax.Array  # int32 (rows, tokens)
    mask: jax.Array  # int32 (rows, tokens), 1: a token, 0: padding

    @property
    def attended(self) -> jax.Array:
        """To which tokens each attends, (rows, 1, tokens): to all there are in its row."""
        return self.mask[:, None, :] == 1

    @property
    def positions(self) -> jax.Array:
        """Where in its text each token stands, counted from 0."""
        return jnp.arange(self.ids.shape[1])

    def pooled(self, hidden: jax.Array, pooling: str | None) -> jax.Array:
        """Hidden states (rows, tokens, hidden) -> each text's mean, or first, (texts, hidden); None: as they are."""
        if pooling is None:
            return hidden
        return hidden[:, 0] if pooling == "cls" else hidden.mean(1, where=self.mask[:, :, None] == 1)


class Packed(NamedTuple):
    """Several texts in each row, one after another; what is left of a row is empty.

    Attention is masked, and not jax.nn.dot_product_attention with `query_seq_lengths`: those are the lengths of rows,
    of one text each; its cudnn kernels, in half precision alone, plan each shape anew. Rows are short, so that what is
    computed between two texts for nothing is little beside the dense layers.
    """

    ids: jax.Array  # int32 (rows, tokens)
    texts: jax.Array  # int32 (rows, tokens), which text of the batch a token is of; -1: of none
    positions: jax.Array  # int32 (rows, tokens), where in its text it stands, counted from 0
    lengths: jax.Array  # int32 (texts,), tokens; 0: the text stands in no row, and what is pooled of it is 0

    @property
    def attended(self) -> jax.Array:
        """To which tokens each attends, (rows, tokens, tokens): to those of its own text."""
        return self.texts[:, :, None] == self.texts[:, None, :]

    def pooled(self, hidden: jax.Array, pooling: str | None) -> jax.Array:
        """Hidden states (rows, tokens, hidden) -> each text's mean, or first, (texts, hidden); None: as they are.

        By a product with zeros and ones: sums by index are not the same twice on a GPU.
        """
        if pooling is None:
            return hidden
        taken = self.texts[:, :, None] == jnp.arange(len(self.lengths))
        if pooling == "cls":
            taken &= self.positions[:, :, None] == 0
        sums = jnp.einsum("rtn,rth->nh", taken.astype(hidden.dtype), hidden)
        return sums if pooling == "cls" else sums / jnp.maximum(self.lengths, 1)[:, None]


Texts: TypeAlias = Padded | Packed
