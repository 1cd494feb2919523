"""CRFsuite, a conditional random field on hand-made features of words: no loop, `train` does it all.

Pick it for the baseline of tagging: no pretrained weights, seconds; what a fine-tuned encoder should beat.

After examples/CoNLL 2002.ipynb of python-crfsuite 0.9.
"""

import numpy as np
import pycrfsuite

from recipes.contract.job import Batch, Job, Predict
from recipes.contract.split import PREDICT_BATCH
from recipes.crf.features import features_of

FILE = "model.crfsuite"
NEVER = np.finfo(np.float32).tiny  # the least probability of a tag, so that its logarithm is a number


class Trainer(pycrfsuite.Trainer):
    """CRFsuite's, which tells the job of its iterations: the loss of a word, with its part of the regularisation."""

    def __init__(self, job: Job, words: int):
        super().__init__("lbfgs")
        self.job, self.words = job, words

    def on_iteration(self, log: str, info: dict) -> None:
        self.job.step(info["num"], self.job.settings["max_iterations"], loss=info["loss"] / self.words)


def finetune(job: Job) -> Predict:
    settings = job.settings
    with job.phase("build_data"):
        train = job.split("train")
        trainer = Trainer(job, int(train.items.sum()))
        for start in range(0, len(train), PREDICT_BATCH):
            rows = range(start, min(start + PREDICT_BATCH, len(train)))
            for row, features in zip(rows, features_of(train.batch(rows), settings["window"]), strict=True):
                trainer.append(features, [job.labels[tag] for tag in train.labels[row]])
    with job.phase("train"):
        chosen = {name: settings[name] for name in ("c1", "c2", "max_iterations")}
        trainer.set_params({**chosen, "feature.possible_transitions": True})  # those too that train has not
        trainer.train(str(job.folder / FILE))
        job.event("model", parameters=trainer.logparser.last_iteration["active_features"])
    with job.phase("save"):
        job.model.mkdir()
        (job.folder / FILE).rename(job.model / FILE)
    return load(job)


def load(job: Job) -> Predict:
    tagger = pycrfsuite.Tagger()
    tagger.open(str(job.model / FILE))
    known = set(tagger.labels())

    def chances(features: list[list[str]]) -> list[list[float]]:
        """Return the probability of each tag at each word, whatever the other words are: (words, tags)."""
        tagger.set(features)
        places = range(len(features))
        return [[tagger.marginal(tag, place) if tag in known else 0.0 for tag in job.labels] for place in places]

    def predict(batch: Batch) -> list[np.ndarray]:
        texts = features_of(batch, job.settings["window"])
        return [np.log(np.maximum(chances(features), NEVER)).astype(np.float32) for features in texts]

    return predict
