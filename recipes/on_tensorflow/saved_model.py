"""SavedModel, TensorFlow's own format, which TensorFlow Serving takes: for any rows and tokens."""

from collections.abc import Callable
from pathlib import Path

import tensorflow as tf

from recipes.contract.job import Batch, Job, Predict
from recipes.contract.split import rows_of
from recipes.on_tensorflow.batches import pad


def write(model: tf.Module, logits: Callable[[tf.Tensor, tf.Tensor], tf.Tensor], path: Path) -> None:
    """Write a model and its function of ids and mask, int32 (rows, tokens), to what the head gives."""
    tokens = [tf.TensorSpec((None, None), tf.int32, name) for name in ("input_ids", "attention_mask")]

    @tf.function(input_signature=tokens)
    def serve(input_ids: tf.Tensor, attention_mask: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"logits": logits(input_ids, attention_mask)}

    tf.saved_model.save(model, str(path), signatures=serve)


def load(job: Job, path: Path) -> Predict:
    """Return the function that predicts with what `write` left."""
    model = tf.saved_model.load(str(path))
    serve = model.signatures["serving_default"]

    def predict(batch: Batch):
        ids, mask = pad(batch.token_ids, job.settings["padding"])
        return rows_of(serve(input_ids=ids, attention_mask=mask)["logits"].numpy(), batch)

    return predict
