"""Rows whose text bears spans: from columns of a table, whatever form they have, and from files with a word a line."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.base.errors import UserError
from harness.inputs.data import files
from harness.inputs.data.encoding import encoding_of
from harness.inputs.data.source import Notes, Row
from harness.inputs.data.spans import OUTSIDE, Unusable, Wanted, joined, read, wrong_tag
from harness.inputs.data.tables import Cells, Options

GIVEN = "words_given"  # of the notes: the texts came as lists of words


def wanted(config: Mapping[str, Any]) -> Wanted:
    """Return the labels whose spans are taken."""
    labels = config.get("span_labels")
    return Wanted(frozenset([labels] if isinstance(labels, str) else map(str, labels)) if labels else None)


def rows(cells: Cells, labels: Wanted, notes: Notes) -> Iterator[Row]:
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


def reader(
    cells: Callable[[Notes], Cells], labels: Wanted, whole: str | None = None
) -> Callable[[Notes], Iterator[Row]]:
    """Return what reads a part of a source, from what streams the cells of its text and of its spans.

    In the part `whole`, a file's name, all labels that are wanted must be met: else UserError, at its end.
    """

    def read_all(notes: Notes) -> Iterator[Row]:
        yield from rows(cells(notes), labels, notes)
        if whole and (said := labels.unknown()):
            raise UserError(f"data.span_labels: in {whole} {said}", code=2)

    return read_all


def conll(path: Path, options: Options, notes: Notes) -> Cells:
    """Stream the words and the tags of each sentence: a line has a word first and its tag last, a blank one parts them.

    A sentence's number is that of its first line. Lines that begin a document (-DOCSTART-), and those between sentences
    that begin with # and end with no tag, as CoNLL-U has its comments, are left out. A tag that cannot be is told with
    its line.
    """
    notes["encoding"] = encoding = encoding_of(path, options.encoding)
    words, tags, first = list[str](), list[str](), 0
    with files.explained(path), files.opened_text(path, encoding, newline="\n") as handle:
        for number, line in enumerate(files.lines_of(handle, []), 1):
            parts = line.split()
            if not words and parts[:1] == ["#"] and wrong_tag(parts[-1], OUTSIDE):
                continue
            if parts and parts[0] != "-DOCSTART-":
                if len(parts) == 1:
                    raise UserError(
                        f"{path}, line {number}: a word and its tag are wanted, parted by a tab or a space; there is "
                        f"`{parts[0]}` alone."
                    )
                if problem := wrong_tag(parts[-1], tags[-1] if tags else OUTSIDE):
                    before = f" after `{tags[-1]}`" if tags else ", the first of its sentence"
                    raise UserError(f"{path}, line {number}: {problem}; there is `{parts[-1]}`{before}.")
                first = first or number
                words.append(parts[0])
                tags.append(parts[-1])
            elif words:
                yield first, [words, tags]
                words, tags, first = [], [], 0
    if words:
        yield first, [words, tags]
