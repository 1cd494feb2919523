"""KerasHub as its own guide shows it: "Fine-tuning KerasHub Models on GLUE", keras.io/guides/keras_hub.

`BertTextClassifier` (the pooled first position, KerasHub's own head) with `compile` and `fit`, AdamW at 5e-5 for all
parameters, batches of 32 in the data's order, fp32, every text padded to 128 tokens (there to 512, the preprocessor's
default). The epochs are the job's (there 3), and the token ids: KerasHub's tokenizer in tf.data wants tensorflow-text.
"""

import os
import sys
import time
from importlib.util import find_spec
from pathlib import Path

sys.path.pop(0)  # this folder: this file has the library's name
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
os.environ.setdefault("KERAS_BACKEND", next(name for name in ("jax", "torch", "tensorflow") if find_spec(name)))

import keras  # noqa: E402
import keras_hub  # noqa: E402
import numpy as np  # noqa: E402

from recipes.contract import frameworks  # noqa: E402
from recipes.contract.job import Job  # noqa: E402
from recipes.contract.split import Split  # noqa: E402

BATCH_SIZE, LENGTH = 32, 128

job = Job.read(Path(sys.argv[1]))
train, test = job.split("train"), job.split("test")
keras.utils.set_random_seed(job.seed)


def inputs(split: Split) -> dict[str, np.ndarray]:
    """Return what the guide's preprocessor makes of the texts of a split: int32 (rows, LENGTH)."""
    kept = [split.token_ids[row][:LENGTH] for row in range(len(split))]
    ids = np.array([np.pad(row, (0, LENGTH - len(row))) for row in kept], np.int32)
    mask = np.array([np.arange(LENGTH) < len(row) for row in kept], np.int32)
    return {"token_ids": ids, "padding_mask": mask, "segment_ids": np.zeros_like(ids)}


classifier = keras_hub.models.BertTextClassifier.from_preset(
    str(job.weights), num_classes=len(job.labels), activation="softmax", preprocessor=None
)
classifier.compile(
    optimizer=keras.optimizers.AdamW(5e-5),
    loss=keras.losses.SparseCategoricalCrossentropy(),
    metrics=[keras.metrics.SparseCategoricalAccuracy()],
)
data, labels = inputs(train), np.array(train.labels)
start = time.perf_counter()
classifier.fit(data, labels, batch_size=BATCH_SIZE, epochs=job.train.epochs, shuffle=False, verbose=2)
frameworks.wait()
seconds = time.perf_counter() - start

probabilities = classifier.predict(inputs(test), batch_size=BATCH_SIZE, verbose=0)
np.savez(sys.argv[2], logits=np.log(np.maximum(probabilities, 1e-30)))
print(seconds)
