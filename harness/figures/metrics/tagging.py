"""Spans of a text: how many of those said are true, and how many of the true are said; and how many tags are right.

A span is right if its first word, its last and its label are: the figures are seqeval's, by which tagging has been
scored since the CoNLL shared tasks (Tjong Kim Sang and De Meulder 2003).
"""

import numpy as np

from harness.figures.metrics.counts import Counted, Details, micro_f1
from harness.inputs.data.spans import spans_of
from recipes.contract.ragged import Ragged
from recipes.contract.tasks import TASKS

TASK = TASKS["tagging"]


def scores(labels: Ragged, logits: Ragged, names: list[str]) -> dict[str, float]:
    """Return the figures of one split from the tags of its words and their logits (words, tags); `names`: the tags'.

    Precision, recall and F1 of all spans counted together; a tag that goes on with no span begins one. Strict F1
    counts no such span (seqeval's strict mode, for IOB2). Token accuracy is the share of words whose tag is right,
    log loss their mean.
    """
    from seqeval.metrics import f1_score
    from seqeval.metrics.sequence_labeling import precision_recall_fscore_support
    from seqeval.scheme import IOB2

    true, said = named(labels, names), named(predicted(logits), names)
    precision, recall, f1, _ = precision_recall_fscore_support(true, said, average="micro", zero_division=0)
    strict = f1_score(true, said, mode="strict", scheme=IOB2, average="micro", zero_division=0)
    return {
        "rows": len(labels),
        "spans": sum(len(list(spans_of(places(tags), tags))) for tags in true),
        "span_f1": float(f1),
        "span_precision": float(precision),
        "span_recall": float(recall),
        "strict_f1": float(strict),
        "token_accuracy": float((labels.values == predicted(logits).values).mean()),
        "log_loss": TASK.loss(logits, labels).mean,
    }


def details(labels: Ragged, logits: Ragged, names: list[str]) -> Details:
    """Return precision, recall, F1 and number of spans of each label."""
    kinds = labels_of(names)
    true, both, said = np.moveaxis(counts(labels, predicted(logits), names).sum(0, dtype=np.int64), 0, 0)
    classes = {}
    for place, name in enumerate(kinds):
        precision, recall = (float(both[place] / of[place]) if of[place] else 0.0 for of in (said, true))
        f1 = float(2 * both[place] / max(1, said[place] + true[place]))
        classes[name] = {"precision": precision, "recall": recall, "f1": f1, "rows": int(true[place])}
    return {"classes": classes}


def labels_of(names: list[str]) -> list[str]:
    """Return the labels of the spans that tags are of."""
    return sorted({name.partition("-")[2] for name in names} - {""})


def predicted(logits: Ragged) -> Ragged:
    """Return the likeliest tag of each word."""
    return Ragged(TASK.answers(logits.values), logits.offsets)


def named(tags: Ragged, names: list[str]) -> list[list[str]]:
    """Return the names of the tags of each text."""
    return [[names[tag] for tag in tags[row].tolist()] for row in range(len(tags))]


def places(tags: list[str]) -> list[tuple[int, int]]:
    """Return of words where they stand, counted in words."""
    return [(place, place + 1) for place in range(len(tags))]


def counts(labels: Ragged, answers: Ragged, names: list[str]) -> np.ndarray:
    """Return of each text and label how many spans are true, how many both true and said, and how many said.

    int16 (texts, 3, labels).
    """
    kinds = {name: place for place, name in enumerate(labels_of(names))}
    found = np.zeros((len(labels), 3, len(kinds)), np.int16)
    for row, (true, said) in enumerate(zip(named(labels, names), named(answers, names), strict=True)):
        sets = [{span for span, _, _ in spans_of(places(tags), tags)} for tags in (true, said)]
        for which, spans in enumerate((sets[0], sets[0] & sets[1], sets[1])):
            for span in spans:
                found[row, which, kinds[span.label]] += 1
    return found


def of_spans(labels: np.ndarray, answers: np.ndarray) -> np.ndarray:
    """Return (texts, runs, 2, labels): the spans true plus those said, and those both, for `counts.f1`.

    From true spans (texts, labels), and (texts, runs, 2, labels) what `counts` has of both and of those said.
    """
    return np.stack([labels[:, None] + answers[:, :, 1], answers[:, :, 0]], 2)


COUNTED = {"span_f1": Counted(of_spans, micro_f1)}
