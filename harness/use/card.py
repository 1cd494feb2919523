"""The card of a saved model: README.md in its folder, in the hub's format, so that the folder can go there as it is.

It is made of the run's own files, and names no folder of this machine. No text of the data is in it; the names of its
labels are, as in config.json.
"""

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from harness.figures.metrics import Metrics, of_row
from harness.results.compare.statistics import Interval, of_rows
from harness.results.reading import Result
from harness.use import loading
from harness.use.saved import Saved, contents

FILE = "README.md"
SPLITS = ("valid", "test")
SHOWN = 50  # names at most; config.json has all
WORST = 3  # classes whose F1 is told
UNKNOWN = "not known here; look it up before you give the model to others"
LIBRARIES = {"head.safetensors": "transformers", "model.skops": "sklearn"}  # file of a model -> the hub's name
ON_THE_HUB = {  # figures that it has a metric of, by its name
    "accuracy": "accuracy", "macro_f1": "f1", "micro_f1": "f1", "exact_match": "exact_match", "span_f1": "f1",
    "span_precision": "precision", "span_recall": "recall", "mae": "mae", "rmse": "rmse", "r2": "r_squared",
    "spearman": "spearmanr", "average_precision": "average_precision",
}  # fmt: skip
NOT_SEEDS = (
    "In brackets a 95% interval: what the figure may be on other rows of the same kind. Another seed gives another "
    "model, of which this says nothing."
)
NO_CLASS = (
    "The head lies beside the encoder, in head.safetensors: no class of transformers has the same, and "
    "`AutoModelForSequenceClassification` would put a new one in its place. `folder` is this one: "
    '`huggingface_hub.snapshot_download("OWNER/NAME")` brings it here.'
)
WITH_THE_PROJECT = "It takes code of the project that trained it: `python scripts/predict.py RUN`, with the whole run."


def write(run: Saved) -> None:
    """Write the card into the folder of a run's model."""
    (run.model / FILE).write_text(Card(run).text(), encoding="utf-8")


@dataclass(frozen=True)
class Card:
    """What there is to say of a finished run's model."""

    run: Saved

    @cached_property
    def report(self) -> Mapping[str, Any]:
        """data_report.json."""
        return contents(self.run.folder / "data_report.json")

    @cached_property
    def source(self) -> Mapping[str, Any]:
        """Where the data came from."""
        return self.report.get("source") or {}

    @cached_property
    def encoder(self) -> Mapping[str, Any]:
        """The section `model` of the configuration; nothing where the recipe takes no encoder."""
        return contents(self.run.folder / "config.yaml").get("model") or {} if self.run.row.get("model") else {}

    @property
    def pretrained(self) -> bool:
        """Tell whether it began with weights that somebody has trained."""
        return bool(self.encoder) and self.encoder.get("from_scratch") is None

    @property
    def base(self) -> str | None:
        """The model on the hub that the weights began as; None where they are drawn, or come from a folder."""
        return self.encoder.get("hub") if self.pretrained and not self.encoder.get("path") else None

    @property
    def licence(self) -> str | None:
        """That of the weights it began with, where it is known."""
        return self.encoder.get("licence") if self.pretrained else None

    @property
    def metrics(self) -> Metrics:
        return of_row(self.run.row)

    @cached_property
    def figures(self) -> dict[str, dict[str, float]]:
        """The figures of quality of each split, by key."""
        found = {
            split: {key: self.run.row.get(f"{split}.{key}") for key in self.metrics.figures} for split in SPLITS
        }  # fmt: skip
        told = {split: {key: one for key, one in its.items() if one is not None} for split, its in found.items()}
        return {split: its for split, its in told.items() if its}

    @property
    def pipeline(self) -> str:
        """The hub's name of what it does."""
        words = "token-classification" if self.run.task.name == "tagging" else "text-classification"
        return "image-classification" if self.run.of_pictures else words

    def text(self) -> str:
        """Return the card: metadata for the hub, then what people read."""
        about = yaml.safe_dump(self.metadata(), sort_keys=False, allow_unicode=True)
        return "\n".join(["---", about.rstrip(), "---", "", *self.body()]) + "\n"

    def metadata(self) -> dict[str, Any]:
        """Return what the hub reads; the licence is that of the weights it began with, where that is known."""
        row, known = self.run.row, {key for its in self.figures.values() for key in its} & ON_THE_HUB.keys()
        about = {
            "license": self.licence,
            "language": self.encoder.get("language"),
            "library_name": next((its for file, its in LIBRARIES.items() if (self.run.model / file).is_file()), None),
            "pipeline_tag": self.pipeline,
            "base_model": self.base,
            "datasets": [self.source["id"]] if "id" in self.source else None,
            "tags": ["finetune-recipes", row["recipe"]],
            "metrics": sorted({ON_THE_HUB[key] for key in known}),
            "model-index": [{"name": self.run.folder.name, "results": list(self.results())}],
        }
        return {key: value for key, value in about.items() if value}

    def results(self) -> Iterator[dict[str, Any]]:
        """Yield the figures of each split as the hub's model-index has them."""
        name = self.run.row["data"]
        for split, its in self.figures.items():
            told = [
                {"type": ON_THE_HUB[key], "name": self.metrics.figures[key].name, "value": value}
                for key, value in its.items()
                if key in ON_THE_HUB
            ]
            dataset = {"name": name, "type": self.source.get("id", name), "split": split}
            yield {"task": {"type": self.pipeline}, "dataset": dataset, "metrics": told}

    def body(self) -> Iterator[str]:
        """Yield the lines that people read."""
        row = self.run.row
        yield f"# {row['data']}: {self.base.rpartition('/')[2] + ', by ' if self.base else ''}{row['recipe']}"
        yield f"\n{self.answers()} {self.begun()}"
        yield from ("\n## How to load it\n", *self.loaded())
        yield from ("\n## How good it is\n", *self.table())
        yield from ("\n## Data\n", *self.data())
        yield from ("\n## Training\n", *self.training())
        yield from ("\n## Licences\n", *self.licences())

    def answers(self) -> str:
        """Say what it answers a text with."""
        names, what = self.run.job["labels"], "picture" if self.run.of_pictures else "text"
        if self.run.task.name == "tagging":
            names = sorted({name.partition("-")[2] for name in names} - {""})
        listed = "; ".join(f"`{name}`" for name in names[:SHOWN])
        more = f"; and {len(names) - SHOWN:,} more, which config.json names" if len(names) > SHOWN else ""
        said = {
            "classification": f"It says which of {len(names):,} classes a {what} is of",
            "multilabel": f"It says which of {len(names):,} labels a {what} has, any number of them",
            "tagging": "It finds spans in a text, and says what each is",
            "regression": "It says a number of a text",
        }
        return f"{said[self.run.task.name]}: {listed}{more}."

    def begun(self) -> str:
        """Say what the training began with."""
        if self.base:
            link = f"[{self.base}](https://huggingface.co/{self.base})"
            return f"It was fine-tuned from {link}, as `{self.run.row['model']}`."
        return "It was fine-tuned from an encoder in a folder." if self.pretrained else "Nothing in it is pretrained."

    def loaded(self) -> Iterator[str]:
        """Yield the lines that load it."""
        run, config, length = self.run, self.run.model / "config.json", 0
        if self.report["tokens"]:
            length = self.report["tokens"]["max_length"]
        kind = contents(config).get("model_type", "") if config.is_file() else ""
        pooling = self.encoder.get("pooling")
        code = loading.lines(run.model, run.task.name, run.job["labels"], length, pooling, kind, run.scale)
        yield from (NO_CLASS, "") if kind and code else ()
        yield from ("```python", code, "```") if code else (WITH_THE_PROJECT,)

    def table(self) -> Iterator[str]:
        """Yield the table of the figures, with their intervals, and what to make of it."""
        ranges, row = self.intervals(), self.run.row
        heads = [f"{split} ({row[split + '.rows']:,} rows)" for split in self.figures]
        yield f"| | {' | '.join(heads)} |"
        yield "| --- |" + " ---: |" * len(self.figures)
        for key in dict.fromkeys(key for its in self.figures.values() for key in its):
            cells = [written(its.get(key), ranges.get((split, key))) for split, its in self.figures.items()]
            yield f"| {self.metrics.figures[key].name} | {' | '.join(cells)} |"
        yield f"\n{NOT_SEEDS}"
        yield from self.worst()

    def intervals(self) -> dict[tuple[str, str], Interval]:
        """Return the figures that follow from counts of rows, with their intervals, by split and key."""
        found = {}
        for split in self.figures:
            labels, said = Result(self.run.row, self.run.folder).predictions(split)
            for key, counted in self.metrics.counted.items():
                most = 1.0 if self.metrics.figures[key].better == "maximize" else float("inf")
                found[split, key] = of_rows(counted, labels, said, most)
        return found

    def worst(self) -> Iterator[str]:
        """Yield which classes of the last split have the lowest F1."""
        *_, split = self.figures
        classes = contents(self.run.folder / "metrics.json")[split].get("classes", {})
        some = sorted((one["f1"], one["rows"], name) for name, one in classes.items() if one["rows"])[:WORST]
        if some:
            of = "spans" if self.run.task.name == "tagging" else "rows"
            told = ", ".join(f"`{name}` {f1:.2f} ({rows:,})" for f1, rows, name in some)
            yield f"\nLowest F1 on {split}, with the number of {of}: {told}."

    def data(self) -> Iterator[str]:
        """Yield what it was trained and measured on; of files the names alone."""
        row, chosen = self.run.row, self.run.config["data"]
        told = [str(self.source[key]) for key in ("attribution", "package", "id") if key in self.source]
        files = [one for one in (self.source, *self.source.values()) if isinstance(one, Mapping) and "file" in one]
        told += [f"`{Path(one['file']).name}`" for one in files]
        for key in ("text", "label"):
            if column := chosen.get(key):
                told.append(f"{key} `{' + '.join(column) if isinstance(column, list) else column}`")
        rows = ", ".join(f"{one['rows']:,} of {split}" for split, one in self.report["splits"].items())
        about = f" ({'; '.join(told)})" if told else ""
        yield f"`{row['data']}`{about}: {rows}."
        if tokens := self.report["tokens"]:
            cut = tokens["splits"]["train"]["truncated"]
            yield f"Texts are cut to {tokens['max_length']} tokens: {cut:.1%} of those of train are longer."
        yield f"SHA-256 over texts and labels: `{row['data_digest']}`."

    def training(self) -> Iterator[str]:
        """Yield how it was trained, and the command that does it again."""
        row = self.run.row
        facts = {
            "recipe": f"{row['recipe']}, protocol={row['protocol']}",
            "libraries": row["library_versions"],
            "epochs": row["train.epochs"],
            "rows of a batch": row["train.batch_size"],
            "precision": row["precision"],
            "seed": row["seed"],
            "parameters": f"{row['model.parameters']:,}" if row["model.parameters"] else None,
            "machine": row["machine"],
            "seconds": row["train.seconds"] if row.get("timing") in ("ok", "told") else None,
            "revision": row.get("revision"),
        }
        yield from (f"- {name}: {value}" for name, value in facts.items() if value is not None)
        yield from ("\n```", command(row["command"]), "```")

    def licences(self) -> Iterator[str]:
        """Yield what is known of the licences of weights and data."""
        of_data, attribution = self.run.config["data"].get("licence"), self.source.get("attribution")
        if self.pretrained:
            yield f"- of the weights it began with: {self.licence or UNKNOWN}"
        yield f"- of the data: {of_data or UNKNOWN}{f' ({attribution})' if attribution else ''}"
        if self.licence:
            yield "\n`license` above is that of the weights; write another there if that of the data asks for it."


def written(value: float | None, interval: Interval | None) -> str:
    """Return a figure as it stands in the table, with its interval if it has one."""
    if value is None:
        return ""
    digits = 3 if abs(value) < 100 else 1
    low_high = f" [{interval.low:,.{digits}f}, {interval.high:,.{digits}f}]" if interval else ""
    return f"{value:,.{digits}f}{low_high}"


def command(given: str) -> str:
    """Return the command of a run without where its results went, and of each path its last name alone."""
    words = []
    for word in shlex.split(given):
        key, equals, value = word.partition("=")
        if key.endswith("train.py"):
            words.append("train.py")
        elif key != "outputs":
            named = value.rstrip("/").rpartition("/")[2] if value.startswith(("/", "~", "./", "../")) else value
            words.append(f"{key}{equals}{named}")
    return shlex.join(words)
