"""Flair as its own tutorial shows it: "Train a text classifier",
flairnlp.github.io/docs/tutorial-training (version 0.15).

`ModelTrainer.fine_tune` with batches of 4 padded to their longest text, 5e-5 for all parameters, fp32; texts in Flair's
own words, their first position as the vector, a label <unk> beside ours. The epochs are the job's (there 10), texts are
cut at 128 tokens (there at the model's limit), and no split is given to evaluate after each epoch: it chooses nothing.
"""

import sys
import tempfile
import time
from pathlib import Path

sys.path.pop(0)  # this folder: this file has the library's name
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import flair
import numpy as np
from flair.data import Corpus, Sentence
from flair.datasets import FlairDatapointDataset
from flair.embeddings import TransformerDocumentEmbeddings
from flair.models import TextClassifier
from flair.trainers import ModelTrainer

from recipes.contract import frameworks
from recipes.contract.job import Job

job = Job.read(Path(sys.argv[1]))
train, test = job.split("train"), job.split("test")
flair.set_seed(job.seed)

# 1. the corpus
sentences = [Sentence(train.text(row)) for row in range(len(train))]
for sentence, label in zip(sentences, train.labels, strict=True):
    sentence.add_label("class", job.labels[label])
corpus = Corpus(train=FlairDatapointDataset(sentences), sample_missing_splits=False)

# 2. and 3. the labels to predict
label_dictionary = corpus.make_label_dictionary(label_type="class")

# 4. the transformer
embeddings = TransformerDocumentEmbeddings(
    str(job.weights), fine_tune=True, transformers_tokenizer_kwargs={"model_max_length": 128}
)

# 5. the classifier
classifier = TextClassifier(embeddings, label_dictionary=label_dictionary, label_type="class")

# 6. and 7. the training
trainer = ModelTrainer(classifier, corpus)
with tempfile.TemporaryDirectory(dir=Path(sys.argv[2]).resolve().parent) as folder:
    start = time.perf_counter()
    trainer.fine_tune(folder, learning_rate=5.0e-5, mini_batch_size=4, max_epochs=job.train.epochs)
    frameworks.wait()
    seconds = time.perf_counter() - start

sentences = [Sentence(test.text(row)) for row in range(len(test))]
classifier.predict(sentences, return_probabilities_for_all_classes=True)
column = {label: number for number, label in enumerate(job.labels)}
logits = np.full((len(test), len(job.labels)), -100.0, np.float32)
for row, sentence in enumerate(sentences):
    for label in sentence.get_labels("class"):
        if label.value in column:  # all but <unk>
            logits[row, column[label.value]] = np.log(max(label.score, 1e-40))
np.savez(sys.argv[2], logits=logits)
print(seconds)
