"""A classifier of gluonnlp, trained for some steps: `python mxnet_bert.py FOLDER bert|roberta`.

It leaves what `save_parameters` and the vocabulary's `to_json` write, and in seen.npz token ids with hidden states and
logits.
"""

import sys
from pathlib import Path

import gluonnlp as nlp
import mxnet as mx
import numpy as np

folder, kind = Path(sys.argv[1]), sys.argv[2]
mx.random.seed(0)
pieces = ["chef", "cook", "nurse", "##s", "welder", "of", "a", "the", "ward", "kitchen"]
words = nlp.vocab.BERTVocab(nlp.data.count_tokens(pieces))
rest = {"max_length": 20, "num_heads": 4, "num_layers": 2, "units": 32, "hidden_size": 64}
encoder = nlp.model.BERTEncoder(**rest, dropout=0.1, layer_norm_eps=1e-12 if kind == "bert" else 1e-5)
if kind == "bert":
    bert = nlp.model.BERTModel(encoder, len(words), 2, 32, 32, use_decoder=False, use_classifier=False)
    model = nlp.model.BERTClassifier(bert, num_classes=3, dropout=0.1)
else:
    bert = nlp.model.RoBERTaModel(encoder, len(words), 32, 32, use_decoder=False)
    model = nlp.model.RoBERTaClassifier(bert, num_classes=3, dropout=0.1)
model.initialize(mx.init.Normal(0.2))
pad = 1 if kind == "roberta" else 0  # gluonnlp masks by lengths
ids = np.array([[2, 7, 9, 4, 3, pad, pad], [2, 5, 6, 8, 10, 8, 3]], np.float32)
lengths = mx.nd.array([5, 7])
segments = [mx.nd.zeros(ids.shape)] if kind == "bert" else []
trainer = mx.gluon.Trainer(model.collect_params(), "bertadam", {"learning_rate": 1e-2}, update_on_kvstore=False)
for _ in range(3):
    with mx.autograd.record():
        loss = mx.gluon.loss.SoftmaxCELoss()(model(mx.nd.array(ids), *segments, lengths), mx.nd.array([0, 2]))
    loss.backward()
    trainer.step(2)
model.save_parameters(str(folder / "model.params"))
(folder / "bert.vocab").write_text(words.to_json())
hidden, logits = bert(mx.nd.array(ids), *segments, lengths), model(mx.nd.array(ids), *segments, lengths)
hidden = hidden[0] if kind == "bert" else hidden
mask = np.arange(ids.shape[1]) < lengths.asnumpy()[:, None]
np.savez(folder / "seen.npz", ids=ids.astype(int), mask=mask, hidden=hidden.asnumpy(), logits=logits.asnumpy())
