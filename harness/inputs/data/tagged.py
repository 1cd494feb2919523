"""Rows whose text bears spans: from columns of a table, whatever form they have, and from files with a word a line."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.base.errors import UserError
from harness.inputs.data import files
from harness.inputs.data.encoding import encoding_of
from harness.inputs.data.source import Notes, Row
from harness.inputs.data.spans import Unusable, joined, read
from harness.inputs.data.tables import Cells, Options

GIVEN = "words_given"  # of the notes: the texts came as lists of words


def wanted(config: Mapping[str, Any]) -> frozenset[str] | None:
    """Return the labels whose spans are taken; None: all."""
    labels = config.get("span_labels")
    return frozenset([labels] if isinstance(labels, str) else map(str, labels)) if labels else None


def rows(cells: Cells, labels: frozenset[str] | None, notes: Notes) -> Iterator[Row]:
    """Yield the rows that cells say: of each a text and its spans, or a list of words and that of their tags."""
    for number, (text, label) in cells:
        if not isinstance(text, (str, list)):
            yield number, [text], read("", [])
            continue
        given = isinstance(text, list)
        whole, spans = joined(text, label, labels) if isinstance(text, list) else (text, read(text, label, labels))
        if notes.setdefault(GIVEN, given) != given:
            spans = Unusable("a list of words where the first row has a text, or a text where it has words")
        yield number, whole, spans


def reader(cells: Callable[[Notes], Cells], labels: frozenset[str] | None) -> Callable[[Notes], Iterator[Row]]:
    """Return what reads a part of a source, from what streams the cells of its text and of its spans."""
    return lambda notes: rows(cells(notes), labels, notes)


def conll(path: Path, options: Options, notes: Notes) -> Cells:
    """Stream the words and the tags of each sentence: a line has a word first and its tag last, a blank one parts them.

    A sentence's number is that of its first line. Lines that begin a document (-DOCSTART-) are left out.
    """
    notes["encoding"] = encoding = encoding_of(path, options.encoding)
    words, tags, first = list[str](), list[str](), 0
    with files.explained(path), files.opened_text(path, encoding, newline="\n") as handle:
        for number, line in enumerate(files.lines_of(handle, []), 1):
            parts = line.split()
            if parts and parts[0] != "-DOCSTART-":
                if len(parts) == 1:
                    raise UserError(
                        f"{path}, line {number}: a word and its tag are wanted, parted by a tab or a space; there is "
                        f"`{parts[0]}` alone."
                    )
                first = first or number
                words.append(parts[0])
                tags.append(parts[-1])
            elif words:
                yield first, [words, tags]
                words, tags, first = [], [], 0
    if words:
        yield first, [words, tags]
