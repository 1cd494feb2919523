"""trax.models.research.bert with a classifier's head, trained by a Loop: `python trax_bert.py FOLDER`.

It leaves the Loop's checkpoint and what `save_to_file` writes, and in seen.npz token ids with hidden states and logits.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import recipes.trax  # noqa: F401  it imports Trax without the packages that this has no need of

import numpy as np  # isort: skip
from trax import layers as tl  # isort: skip
from trax import optimizers  # isort: skip
from trax.models.research import bert  # isort: skip
from trax.supervised import training  # isort: skip

folder = Path(sys.argv[1])
sizes = {"d_model": 32, "vocab_size": 50, "max_len": 20, "n_heads": 4, "d_ff": 64, "n_layers": 2}
ids = np.array([[2, 7, 9, 30, 3, 0, 0], [2, 5, 49, 12, 40, 8, 3]])
inputs = ids, np.zeros_like(ids), np.zeros(len(ids), int)  # tokens, segments, and a number that BERT drops


def batches():
    while True:
        yield (*inputs, np.array([0, 2]), np.ones(2))


model = bert.BERT(**sizes, head=lambda: bert.BERTClassifierHead(3), mode="eval")
task = training.TrainTask(batches(), tl.WeightedCategoryCrossEntropy(), optimizers.Adam(1e-2))
loop = training.Loop(model, task, output_dir=str(folder / "loop"), random_seed=0)
loop.run(3)
loop.save_checkpoint("model")
model.save_to_file(str(folder / "saved.pkl.gz"))
encoder = tl.Serial(model.sublayers[0].sublayers[:-3])  # without its pooler
encoder.weights, encoder.state = model.weights[0][:-3], model.state[0][:-3]
np.savez(folder / "seen.npz", ids=ids, mask=ids != 0, hidden=encoder(inputs), logits=model(inputs))
