"""One's own files, by the ending csv, tsv, JSON lines, parquet, a workbook, CoNLL; one to be split, or one a split."""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from harness.base.errors import UserError
from harness.base.home import sha256
from harness.config.tasks import is_conll
from harness.inputs.data import cells, tagged
from harness.inputs.data.files import check_file
from harness.inputs.data.source import SPLITS, Notes, Part, Row, Source
from harness.inputs.data.tables import Options, has_sheets, read_table, reader_of


def source(config: Mapping[str, Any]) -> Source:
    """Return the files `data.train`, `data.valid` and `data.test` (null: cut from train) as splits."""
    if not config["train"]:
        raise UserError("data.train=FILE is needed: a csv, tsv, JSON lines or parquet file, or a workbook.")
    texts, label = columns(config)
    paths = {split: Path(config[split]).expanduser() for split in SPLITS if config[split]}
    check_splits({split: path.resolve() for split, path in paths.items()})
    options = Options(config["encoding"], config.get("sheet"))
    parts, files, described = {}, {}, {}
    for split, path in paths.items():
        check_file(path)
        reader = tagged.conll if is_conll(str(path)) else reader_of(path)
        digest = sha256(path)
        parts[split] = Part(str(path), _reader(path, [*texts, label], options, config, split == "train"))
        files[split] = [digest, reader.__name__]
        described[split] = {"file": str(path.absolute()), "sha256": digest}
    check_splits({split: entry["sha256"] for split, entry in described.items()})
    tables = [path for path in paths.values() if not is_conll(str(path))]
    if options.sheet and not any(map(has_sheets, tables)):
        raise UserError(f"data.sheet={options.sheet}: {paths['train']} is no workbook, it has no sheets.", code=2)
    identity = {"files": files, "text": texts, "label": label, "encoding": options.encoding, "sheet": options.sheet}
    return Source(parts, {**identity, **rules_identity(config)}, described, **rules(config))


def columns(config: Mapping[str, Any]) -> tuple[list[str], str]:
    """Return the columns of the text (one or more) and of the label that the settings name.

    Raises UserError where one is named twice, and where the label is a part of the text.
    """
    text, label = config["text"], config["label"]
    if is_conll(config.get("train") or ""):
        if text or label:
            raise UserError(
                "data.text= and data.label= name columns, and a file with a word and its tag a line has none.\n"
                "Leave both out.",
                code=2,
            )
        return ["words"], "tags"
    texts = [text] if isinstance(text, str) else list(text or [])
    if not texts or not label:
        raise UserError(
            "data.text=COLUMN and data.label=COLUMN are needed: the columns of the text and of its class.\n"
            "Several columns make one text: data.text=[title,description]"
        )
    texts, label = [str(name) for name in texts], str(label)
    if config["task"] == "tagging" and len(texts) > 1:
        raise UserError("task=tagging: spans are of one column, and data.text has several. Give one.", code=2)
    counting = [cells.name(name).casefold() for name in texts]
    shown = ",".join(texts)
    if cells.name(label).casefold() in counting:
        raise UserError(
            f"data.text=[{shown}] has the column of data.label={label}: the text would say its own class, and every "
            "score would be of that.\nLeave that column out of data.text.",
            code=2,
        )
    if len(set(counting)) < len(counting):
        raise UserError(f"data.text=[{shown}] names a column twice. Leave one out.", code=2)
    return texts, label


def check_splits(places: Mapping[str, Any]) -> None:
    """Raise UserError where train and another split are at one place (a path, a digest, a name)."""
    for split, place in places.items():
        if split != "train" and place == places["train"]:
            raise UserError(
                f"data.train and data.{split} are the same: what was learnt by heart would count as known.\n"
                f"Leave data.{split} out, and it is cut from train.",
                code=2,
            )


def rules(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the settings say of empty cells, and which columns make a text, as `Source` takes it."""
    if config["empty_rows"] not in ("error", "drop"):
        raise UserError(f"data.empty_rows={config['empty_rows']}: there are error and drop.")
    texts, _ = columns(config)
    return {"drop_empty": config["empty_rows"] == "drop", "texts": tuple(texts), "missing": missing(config),
            "separator": config.get("label_separator"), "label": columns(config)[1]}  # fmt: skip


def rules_identity(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of these settings that decide the rows."""
    found = {"empty_rows": config["empty_rows"], "missing": sorted(missing(config))}
    return found | {key: config[key] for key in ("label_separator", "span_labels") if config.get(key)}


def missing(config: Mapping[str, Any]) -> frozenset[str]:
    """Return the words that stand for an empty cell; null and nan, which Hydra reads as such, are words again."""
    words = config.get("missing", cells.MISSING)
    found = set()
    for word in [words] if isinstance(words, str) else words or []:
        found |= {"null", "NULL"} if word is None else {"nan", "NaN"} if word != word else {cells.name(str(word))}
    return frozenset(found)


def _reader(path: Path, wanted: list[str], options: Options, config: Mapping[str, Any], whole: bool) -> Any:
    """Return what reads a file; in one that is `whole`, train's, all that is asked for must be met."""
    if config["task"] == "tagging":
        table = partial(tagged.conll, path) if is_conll(str(path)) else partial(read_table, path, wanted)
        return tagged.reader(partial(table, options), tagged.wanted(config), str(path) if whole else None)

    def read(notes: Notes) -> Iterator[Row]:
        for number, row in read_table(path, wanted, options, notes):
            yield number, row[:-1], row[-1]

    return read
