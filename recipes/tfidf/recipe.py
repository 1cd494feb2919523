"""scikit-learn, TF-IDF and logistic regression: no loop, `fit` does it all.

Pick it for the baseline: no pretrained weights, seconds; what a fine-tuned encoder should beat.
"""

import numpy as np
import skops.io
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import Pipeline, make_pipeline, make_union

from recipes.contract.job import Batch, Job, Predict

CONSTANT = "sklearn.multiclass._ConstantPredictor"  # of a label that all texts of train have; skops does not know it


def finetune(job: Job) -> Predict:
    settings = job.settings
    with job.phase("build_data"):
        train = job.split("train")
        texts = [train.text(row) for row in range(len(train))]
    with job.phase("train"):
        characters = TfidfVectorizer(
            analyzer="char_wb", ngram_range=tuple(settings["char_ngrams"]), sublinear_tf=True, dtype=np.float32
        )
        words = TfidfVectorizer(
            ngram_range=tuple(settings["word_ngrams"]),
            token_pattern=r"(?u)\b\w+\b",
            sublinear_tf=True,
            dtype=np.float32,
        )
        classifier = LogisticRegression(C=settings["C"], max_iter=settings["max_iter"], random_state=job.seed)
        if job.task.name == "multilabel":
            classifier = OneVsRestClassifier(classifier)  # a regression for each label
        model = make_pipeline(make_union(characters, words), classifier)
        model.fit(texts, train.labels)
    parts = [part for part in getattr(classifier, "estimators_", [classifier]) if hasattr(part, "coef_")]
    iterations = max((int(part.n_iter_.max()) for part in parts), default=1)  # a label that all texts have takes none
    job.step(iterations, iterations)
    job.event("model", parameters=sum(part.coef_.size + part.intercept_.size for part in parts))
    with job.phase("save"):
        job.model.mkdir()
        skops.io.dump(model, job.model / "model.skops")
    return predictor(model, job)


def load(job: Job) -> Predict:
    return predictor(skops.io.load(job.model / "model.skops", trusted=[CONSTANT]), job)


def predictor(model: Pipeline, job: Job) -> Predict:
    def predict(batch: Batch) -> np.ndarray:
        scores = model.decision_function(batch.texts).reshape(len(batch), -1)
        if scores.shape[1] < job.outputs:  # two classes have one score: the log-odds of the second
            scores = np.concatenate([np.zeros_like(scores), scores], axis=1)
        return scores.astype(np.float32)

    return predict
