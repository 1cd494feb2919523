"""Predict the rows of a file, of any length, and go on where it was after a kill.

Beside the result lies `.NAME.predicting` while it is made: what is to be done (`task.json`), and the logits of the rows
that are done, one after the other (`logits.bin`), in whole chunks. At last the file is read once more and written with
the new columns, so that whatever stands at the result's place is whole, and the same however often it was cut off.
"""

import itertools
import json
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.base import progress
from harness.base.errors import UserError, address, writing
from harness.base.home import locked, sha256
from harness.config.tasks import is_conll
from harness.inputs.data import cells, told
from harness.inputs.data import rows as checked
from harness.inputs.data.columns import ColumnError
from harness.inputs.data.convert import WRITERS, convert
from harness.inputs.data.files import PACKED, check_file, name_of
from harness.inputs.data.kinds import images
from harness.inputs.data.kinds.csv import missing as words_for_nothing
from harness.inputs.data.source import Notes
from harness.inputs.data.tables import READERS, Options, has_sheets, read_table, reader_of
from harness.inputs.data.widen import Rows, columns_of, widen
from harness.runs import store
from harness.use.answers import Answers, answers_of
from harness.use.predict import CHUNK, predictor
from harness.use.saved import Saved

WRITTEN = {*WRITERS, ".txt"}
LISTS = {".json", ".jsonl", ".ndjson"}  # what can hold them


@dataclass
class Table:
    """A file, the columns that make its text, and what reading it found out."""

    path: Path
    columns: list[str]
    options: Options = Options()
    missing: frozenset[str] = frozenset(cells.MISSING)
    notes: Notes = field(default_factory=dict)
    pictures: Path | None = None  # of a run that was trained on pictures: the folder that the paths in it are below
    as_is: bool = False  # texts stay to the character: spans are counted in them
    rows: int = 0
    empty: checked.Wrong = field(default_factory=checked.Wrong)

    def texts(self, notes: Notes | None = None) -> Iterator[tuple[int, Any]]:
        """Yield each row's number and text, read as the data is for training; what there is to tell goes to `notes`."""
        reading, notes = cells.Reading(self.missing), self.notes if notes is None else notes
        for number, row in read_table(self.path, self.columns, self.options, notes):
            text = as_it_is(row[0]) if self.as_is else cells.joined(reading.texts(row))
            yield number, str(self.pictures / text) if self.pictures and not cells.empty(text) else text
        reading.note(notes)

    def check(self, added: list[str]) -> None:
        """Read all of it: UserError, with the rows, for what is no text, and for columns that are there already."""
        try:
            with progress.step(f"reading {self.path}") as show:
                for number, text in self.texts():
                    self.rows += 1
                    if problem := checked.problem_of(text, "none is wanted"):
                        self.empty.add(problem, number)
                    elif self.pictures and not images.is_picture(Path(text)):
                        self.empty.add(f"no picture is there, at the path below {self.pictures}", number)
                    if self.rows % 10_000 == 0:
                        show(f"{self.rows:,} rows")
        except ColumnError as error:
            raise UserError(f"{error}\n--text COLUMN says which column holds the text.") from None
        except UserError as error:
            raise UserError(self.as_options(str(error))) from None
        self.empty.settle(str(self.path), drop_empty=True, notes=self.notes)
        said = told.lines(str(self.path), {**self.notes, "dropped_rows": 0})
        for line in said + told.of_encoding(
            str(self.path), self.notes, "the result is UTF-8 (--encoding … says otherwise)"
        ):
            progress.say(self.as_options(line))
        there = [name for name in added if name in columns_of(self.path, self.notes)]
        if there:
            raise UserError(
                f"{self.path} has a column `{there[0]}` already.\n"
                "--prefix predicted_ puts this before the names of the columns that are added."
            )

    def write(self, out: Path, names: list[str], values: Rows, first: str = "string") -> None:
        """Write the table to `out` with the columns `names` added, in the format of its ending.

        `first` is the type of the first of them (parquet's words), the others are numbers.
        """
        try:
            if stays(self.path, out):
                widen(self.path, self.notes, out, names, values, first)
            else:
                convert(self.path, self.notes, out, names, values, first)
        except ValueError:
            raise UserError(f"{self.path} has changed while it was read. Give the same command again.") from None

    @staticmethod
    def as_options(words: str) -> str:
        """Return what is said of `data.…=` as what is said of the options of scripts/predict.py."""
        return re.sub(r"data\.(encoding|sheet)=", r"--\1 ", words)


def columns_for(run: Saved, chosen: list[str] | None) -> list[str]:
    """Return the columns that hold the text: those chosen, or those the run was trained with, or `text`."""
    own = run.config["data"].get("text")
    return chosen or ([own] if isinstance(own, str) else list(own or ["text"]))


def table_for(run: Saved, path: Path, columns: list[str] | None, encoding: str | None, sheet: str | None) -> Table:
    """Return the table to predict, read as the run's own data was where nothing else is said."""
    data = run.config["data"]
    sheet = sheet or data.get("sheet") if has_sheets(path) else sheet
    if sheet and not has_sheets(path):
        raise UserError(f"--sheet {sheet}: {path} is no workbook, it has no sheets.", code=2)
    pictures = path.absolute().parent if run.of_pictures else None
    tagged, columns = run.task.name == "tagging", columns_for(run, columns)
    if tagged and len(columns) > 1:
        raise UserError("--text: spans are of one column, and several are given.", code=2)
    return Table(path, columns, Options(encoding, sheet), words_for_nothing(data), pictures=pictures, as_is=tagged)


def as_it_is(cell: Any) -> Any:
    """Return the text of a cell, of a list of words with a space between them; no cell is an empty text."""
    words = isinstance(cell, list) and all(isinstance(word, str) for word in cell)
    return " ".join(cell) if words else "" if cell is None else cell


def place_for(path: Path, out: Path | None) -> Path:
    """Return where the result goes; UserError for a file that is not there, or no place to write to.

    Without `out` it has the file's format, unpacked, or is a csv where that is only read.
    """
    check_file(path)
    if is_conll(str(path)):
        raise UserError(
            f"{path}: a file with a word and its tag a line is read for training alone. Give the texts as a csv with a "
            "header, or as JSON lines.",
            code=2,
        )
    reader_of(path)
    ending, stem = name_of(path).suffix, path.stem if path.suffix.lower() in PACKED else path.name
    stem = stem[: -len(ending)] if stem.endswith(ending) else stem
    out = out or path.with_name(f"{stem}.predicted{ending if ending.lower() in WRITTEN else '.csv'}")
    if not stays(path, out) and out.suffix.lower() not in WRITERS:
        raise UserError(f"--out {out}: the ending says what is written: {', '.join(WRITERS)}.", code=2)
    if url := address(out):
        raise UserError(f"--out {url}: the result goes to a file of this machine.", code=2)
    if not out.absolute().parent.is_dir():
        raise UserError(f"--out {out}: there is no folder {out.absolute().parent}.", code=2)
    refuse(out)
    return out.absolute()


def stays(path: Path, out: Path) -> bool:
    """Tell whether the result is written as the file is: cells as they are spelt, separator and types kept."""
    if ".tsv" in (endings := {name_of(path).suffix.lower(), out.suffix.lower()}):
        return len(endings) == 1
    return out.suffix.lower() in WRITTEN and reader_of(path) is READERS[out.suffix.lower()]


def refuse(out: Path) -> None:
    """Raise UserError where a file is: none is written over."""
    if out.exists():
        raise UserError(f"{out} is there already, and no file is written over: --out says where else to write.")


def predict_file(
    run: Saved, table: Table, out: Path, every: bool = False, prefix: str = "", threshold: float = 0.5
) -> None:
    """Write the rows of `table` to `out` with what the model answers (`every`: with the probability of every label).

    Of several labels a text those are answered that are likelier than the `threshold`.
    """
    answers = answers_of(run, every, out.suffix.lower() in LISTS, threshold)
    names = answers.added(prefix)
    table.check(names)
    working = out.with_name(f".{out.name}.predicting")
    with writing("--out", out, working), locked(working / "lock", f"{out.name}"):
        refuse(out)
        begin(working, {"file": sha256(table.path), "columns": table.columns, "notes": table.notes, "chunk": CHUNK,
                        "model": run.digest(), "job": run.job, "added": names, "threshold": threshold})  # fmt: skip
        missing(run, table, working, answers)
        values = map(json.loads, lines(working / "answers.jsonl"))
        table.write(working / out.name, names, values, answers.first)
        refuse(out)
        (working / out.name).rename(out)
        shutil.rmtree(working)
    for problem, count in table.empty.counts.items():
        where = checked.listed(table.empty.first[problem], count)
        progress.say(f"without text, so without label: {where}" + problem.removeprefix("an empty text"))
    progress.say(f"{out}: {table.rows:,} rows")


def begin(working: Path, task: Mapping[str, object]) -> None:
    """Clear away what was done of another task, and what a worker left."""
    task = json.loads(json.dumps(task))
    path, answered = working / "task.json", working / "answers.jsonl"
    if answered.exists() and (not path.exists() or json.loads(path.read_text(encoding="utf-8")) != task):
        progress.say("the file, the model or the columns are others than they were: beginning anew")
        answered.unlink()
    store.write_json(path, task)
    shutil.rmtree(working / "worker", ignore_errors=True)
    answered.touch()


def lines(path: Path) -> Iterator[bytes]:
    """Yield the whole lines of a file: the last may have been cut off."""
    with open(path, "rb") as handle:
        yield from (line for line in handle if line.endswith(b"\n"))


def keep_done(path: Path, rows: int) -> int:
    """Cut a file of answers, a line a row, to whole chunks, or to all of the rows; return how many that are."""
    sizes = [len(line) for line in lines(path)]
    done = rows if len(sizes) >= rows else len(sizes) // CHUNK * CHUNK
    os.truncate(path, sum(sizes[:done]))
    return done


def missing(run: Saved, table: Table, working: Path, answers: Answers) -> None:
    """Predict the rows that have no answers yet, chunk by chunk; an answer is the list of its columns' values."""
    path = working / "answers.jsonl"
    done = keep_done(path, table.rows)
    if done:
        progress.say(f"going on after {done:,} of {table.rows:,} rows")
    if done == table.rows:
        return
    left = itertools.islice(table.texts({}), done, None)
    texts = ("" if isinstance(text, cells.Missing) else text for _, text in left)
    chunks = iter(lambda: list(itertools.islice(texts, CHUNK)), [])
    with (
        open(path, "a", encoding="utf-8") as handle,
        progress.step("predicting") as show,
        predictor(run, working / "worker") as model,
    ):
        start, before = time.monotonic(), done
        for number, outputs in enumerate(model.outputs(chunks)):
            handle.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in answers.rows(outputs))
            handle.flush()
            done += len(outputs)
            rate = (done - before) / (time.monotonic() - start)
            show(f"{done:,} of {table.rows:,} rows, {rate:,.0f} rows/s")
            if number == 0:  # with it the library has started: that is no speed
                start, before = time.monotonic(), done
