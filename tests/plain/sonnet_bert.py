"""A BERT in Sonnet's modules, as somebody would write it, with BERT's names: `python sonnet_bert.py FOLDER [OWN]`.

It leaves tf.train.Checkpoint's files, and in seen.npz token ids with the hidden states that it computes. OWN: in the
checkpoint the modules have names that nobody else knows.
"""

import sys
from pathlib import Path

import numpy as np
import sonnet as snt
import tensorflow as tf

WORDS, HIDDEN, INNER, LAYERS, HEADS, POSITIONS = 50, 32, 64, 2, 4, 20


def module(**parts):
    """Return a module with these attributes."""
    found = snt.Module()
    for name, part in parts.items():
        setattr(found, name, part)
    return found


def norm():
    return snt.LayerNorm(axis=-1, create_scale=True, create_offset=True, eps=1e-12)


def layer():
    own = module(query=snt.Linear(HIDDEN), key=snt.Linear(HIDDEN), value=snt.Linear(HIDDEN))
    attended = module(dense=snt.Linear(HIDDEN), LayerNorm=norm())
    attention = module(self=own, output=attended)
    output = module(dense=snt.Linear(HIDDEN), LayerNorm=norm())
    return module(attention=attention, intermediate=module(dense=snt.Linear(INNER)), output=output)


def heads(values):
    return tf.transpose(tf.reshape(values, (*values.shape[:2], HEADS, -1)), (0, 2, 1, 3))


def bert(model, ids, mask):
    """Token ids and mask (rows, tokens) -> hidden states (rows, tokens, hidden)."""
    embeddings = model.embeddings
    x = embeddings.word_embeddings(ids) + embeddings.token_type_embeddings(tf.zeros_like(ids))
    x = embeddings.LayerNorm(x + embeddings.position_embeddings(tf.range(ids.shape[1])))
    for one in model.encoder.layer:
        own, attended = one.attention.self, one.attention.output
        q, k, v = heads(own.query(x)), heads(own.key(x)), heads(own.value(x))
        scores = tf.matmul(q, k, transpose_b=True) / (HIDDEN // HEADS) ** 0.5
        shares = tf.nn.softmax(scores + 1e9 * (mask[:, None, None, :] - 1))
        context = tf.reshape(tf.transpose(tf.matmul(shares, v), (0, 2, 1, 3)), x.shape)
        x = attended.LayerNorm(x + attended.dense(context))
        x = one.output.LayerNorm(x + one.output.dense(tf.nn.gelu(one.intermediate.dense(x))))
    return x


folder, own = Path(sys.argv[1]), len(sys.argv) > 2
tf.random.set_seed(0)
tables = {"word": WORDS, "position": POSITIONS, "token_type": 2}
embeddings = module(
    **{f"{name}_embeddings": snt.Embed(rows, HIDDEN) for name, rows in tables.items()}, LayerNorm=norm()
)
model = module(embeddings=embeddings, encoder=module(layer=[layer() for _ in range(LAYERS)]))
head, optimizer = snt.Linear(3), snt.optimizers.Adam(1e-2)
ids = tf.constant([[2, 7, 9, 30, 3, 0, 0], [2, 5, 49, 12, 40, 8, 3]])
mask = tf.cast(ids != 0, tf.float32)
for _ in range(3):
    with tf.GradientTape() as tape:
        logits = head(bert(model, ids, mask)[:, 0])
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits([0, 2], logits))
    variables = [*model.trainable_variables, *head.trainable_variables]
    optimizer.apply(tape.gradient(loss, variables), variables)
stored = module(tables=embeddings, blocks=model.encoder.layer) if own else model
tf.train.Checkpoint(bert=stored, head=head, optimizer=optimizer).save(str(folder / "ckpt"))
np.savez(folder / "seen.npz", ids=ids, mask=mask, hidden=bert(model, ids, mask))
