"""Results made up at random, in which every library competes, for the tests of the choice of one."""

import json
import random
from dataclasses import replace

from results_support import row

from harness.results import choose, traits

LIBRARIES = traits.libraries()
NAMES = [library.name for library in LIBRARIES]
MEASURED = {
    "valid.macro_f1": (0.5, 0.56),
    "test.macro_f1": (0.5, 0.56),
    "train.seconds": (30, 90),
    "inference.batch1.p95_ms": (2, 40),
    "inference.batch32.texts_per_second": (100, 900),
    "memory.peak_rss_mb": (400, 1500),
    "model.size_mb": (20, 100),
    "environment.size_mb": (280, 1800),
}


def write(folder, rows):
    for number, one in enumerate(rows):
        place = folder / one["data"] / f"run{number}-{one['recipe']}-seed{one['seed']}"
        place.mkdir(parents=True)
        (place / "result.json").write_text(json.dumps(one), encoding="utf-8")
    return folder


def world(number, seeds=3, libraries=LIBRARIES):
    """Return the rows of every library, whose figures are drawn at random; the more, the more two of them are equal."""
    draw = random.Random(number)
    rows = []
    for library in libraries:
        middle = {key: draw.choice([low, (low + high) / 2, high]) for key, (low, high) in MEASURED.items()}
        rows += [
            row(
                library.recipe,
                seed,
                words=library.words[1:],
                **{k: v * draw.uniform(0.97, 1.03) for k, v in middle.items()},
            )
            for seed in range(seeds)
        ]
    return rows


def asked(folder, question=None):
    question = replace(question or choose.Question(), results=[folder])
    return choose.answer(question, LIBRARIES, choose.gather(question, NAMES))


def answered(question):
    return choose.answer(question, LIBRARIES, choose.gather(question, NAMES))


def left(answer):
    return {one["name"] for one in answer["libraries"] if one["status"] != "ruled out"}


def value(one, name):
    return next(check["value"] for check in one["criteria"] if check["name"] == name)
