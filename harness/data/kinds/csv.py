"""One's own files: csv, tsv, JSON lines or parquet, by the ending; one file that is split, or one a split."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.data.source import SPLITS, Notes, Part, Row, Source, joined
from harness.data.tables import check_file, read_table, reader_of
from harness.errors import UserError
from harness.home import sha256


def source(config: Mapping[str, Any]) -> Source:
    """Return the files `data.train`, `data.valid` and `data.test` (null: cut from train) as splits."""
    if not config["train"]:
        raise UserError("data.train=FILE is needed: a csv, tsv, JSON lines or parquet file.")
    texts, label = columns(config)
    parts, files, described = {}, {}, {}
    for split in SPLITS:
        if not config[split]:
            continue
        path = Path(config[split]).expanduser()
        check_file(path)
        reader = reader_of(path)
        digest = sha256(path)
        parts[split] = Part(str(path), _reader(path, texts, label, config["encoding"]))
        files[split] = [digest, reader.__name__]
        described[split] = {"file": str(path.absolute()), "sha256": digest}
    identity = {"files": files, "text": texts, "label": label, "encoding": config["encoding"]}
    return Source(parts, {**identity, "empty_rows": config["empty_rows"]}, described, drop_empty(config))


def columns(config: Mapping[str, Any]) -> tuple[list[str], str]:
    """Return the columns of the text (one or more) and of the label that the settings name."""
    text, label = config["text"], config["label"]
    texts = [text] if isinstance(text, str) else list(text or [])
    if not texts or not label:
        raise UserError(
            "data.text=COLUMN and data.label=COLUMN are needed: the columns of the text and of its class.\n"
            "Several columns make one text: data.text=[title,description]"
        )
    return [str(name) for name in texts], str(label)


def drop_empty(config: Mapping[str, Any]) -> bool:
    """Tell whether `data.empty_rows` says to leave rows without text or label out."""
    if config["empty_rows"] not in ("error", "drop"):
        raise UserError(f"data.empty_rows={config['empty_rows']}: there are error and drop.")
    return config["empty_rows"] == "drop"


def _reader(path: Path, texts: list[str], label: str, encoding: str | None) -> Any:
    def read(notes: Notes) -> Iterator[Row]:
        for number, cells in read_table(path, [*texts, label], encoding, notes):
            yield number, joined(cells[:-1]), cells[-1]

    return read
