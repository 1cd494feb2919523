"""scikit-learn, TF-IDF and a linear model: no loop, `fit` does it all.

Pick it for the baseline: no pretrained weights, seconds; what a fine-tuned encoder should beat.
"""

import numpy as np
import skops.io
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
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
        linear = linear_model(job)
        model = make_pipeline(make_union(characters, words), linear)
        model.fit(texts, train.labels)
    parts = [part for part in getattr(linear, "estimators_", [linear]) if hasattr(part, "coef_")]
    counted = [part.n_iter_ for part in parts if part.n_iter_ is not None]  # Ridge does not count
    iterations = max((int(count.max()) for count in counted), default=1)  # a label that all texts have takes none
    job.step(iterations, iterations)
    job.event("model", parameters=sum(np.size(part.coef_) + np.size(part.intercept_) for part in parts))
    with job.phase("save"):
        job.model.mkdir()
        skops.io.dump(model, job.model / "model.skops")
    return predictor(model, job)


def linear_model(job: Job) -> LogisticRegression | OneVsRestClassifier | Ridge:
    """Return the task's model: logistic regression, one for each label that may hold, or ridge regression."""
    settings = job.settings
    if job.task.name == "regression":
        return Ridge(alpha=settings["alpha"], max_iter=settings["max_iter"])
    logistic = LogisticRegression(C=settings["C"], max_iter=settings["max_iter"], random_state=job.seed)
    return OneVsRestClassifier(logistic) if job.task.name == "multilabel" else logistic


def load(job: Job) -> Predict:
    return predictor(skops.io.load(job.model / "model.skops", trusted=[CONSTANT]), job)


def predictor(model: Pipeline, job: Job) -> Predict:
    def predict(batch: Batch) -> np.ndarray:
        score = model.predict if job.task.name == "regression" else model.decision_function
        scores = score(batch.texts).reshape(len(batch), -1)
        if scores.shape[1] < job.outputs:  # two classes have one score: the log-odds of the second
            scores = np.concatenate([np.zeros_like(scores), scores], axis=1)
        return scores.astype(np.float32)

    return predict
