"""What a person is told of a table that was read: one line each, from its notes."""

from collections.abc import Mapping, Sequence
from typing import Any

from harness.inputs.data.rows import SHOWN, listed
from harness.inputs.data.source import Notes

MOST = 5  # labels, words or characters listed in a line
SEPARATORS = ";|,/"  # which people part labels with, in cells


def lines(place: str, notes: Notes) -> list[str]:
    """Return what reading the table at `place` found out that may surprise."""
    said = []
    if above := notes.get("title_lines"):
        said.append(f"{_lines(above)} above the header left out")
    if repeated := notes.get("repeated_headers"):
        said.append(
            f"the header stands again among the rows, left out there: {listed(repeated[:SHOWN], len(repeated))}"
        )
    if nuls := notes.get("nul_lines"):
        said.append(f"NUL characters left out of {_lines(nuls)}")
    for column, characters in notes.get("headers_cleaned", {}).items():
        said.append(f"the header of `{column}` holds what cannot be seen ({', '.join(characters)}); read without")
    if cleaned := notes.get("cleaned"):
        counts = " and ".join(f"{number:,} {what}" for what, number in cleaned.items() if what != "characters")
        said.append(
            f"{counts} hold what cannot be seen ({_counted(cleaned['characters'])}), which makes no difference: "
            "other spaces count as plain ones, the rest is left out"
        )
    if words := notes.get("read_as_empty"):
        said.append(f"cells that hold {_counted(words, '`')} were read as empty (data.missing=[] keeps such words)")
    if words := notes.get("may_mean_empty"):
        taken = ",".join([*notes.get("read_as_empty", {}), *words])
        said.append(f"cells that hold {_counted(words, '`')} were kept (data.missing=[{taken}] reads them as empty)")
    if number := notes.get("may_be_thousands"):
        said.append(
            f"{number:,} numbers have a point before three digits, as 24.500, read as decimals; where it parts "
            "thousands, write 24500"
        )
    if dropped := notes.get("dropped_rows"):
        said.append(f"{dropped:,} rows without text or label were left out")
    return [f"{place}: {line}" for line in said]


def of_encoding(place: str, notes: Notes, what_to_do: str) -> list[str]:
    """Return a line where the text's encoding is not UTF-8."""
    encoding = notes.get("encoding", "utf-8")
    return [] if encoding in ("utf-8", "utf-8-sig") else [f"{place} was read as {encoding}, {what_to_do}"]


def of_separator(place: str, notes: Notes, names: Sequence[str]) -> list[str]:
    """Return a line where the separator of labels stands in no cell; `names` are the labels."""
    if notes.get("parted_cells", 1):
        return []
    counts = {separator: sum(separator in name for name in names) for separator in SEPARATORS}
    likely = max(counts, key=lambda separator: counts[separator])
    instead = f"; `{likely}` stands in {counts[likely]:,} of {len(names):,} different ones" if counts[likely] else ""
    return [f"{place}: data.label_separator stands in no cell, so that none has several labels{instead}"]


def of_everywhere(place: str, names: Sequence[str]) -> list[str]:
    """Return a line on labels that all texts of a split have."""
    if not names:
        return []
    shown = ", ".join(f"`{name}`" for name in names[:MOST]) + (", …" if len(names) > MOST else "")
    return [f"{place}: all texts have {shown}: of that nothing can be learnt"]


def of_cut_spans(splits: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return a line where spans begin or end within a word."""
    cut, spans = (sum(part.get(key, 0) for part in splits.values()) for key in ("spans_cut_in_words", "spans"))
    what = "do not begin and end where words do: they were widened, or narrowed by spaces, to whole words"
    return [f"{cut:,} of {spans:,} spans {what}"] if cut else []


def of_labels(alike: Sequence[Mapping[str, int]]) -> list[str]:
    """Return a line on labels that look alike; each group maps them to their rows."""
    if not alike:
        return []
    groups = [" and ".join(f"`{_visible(name)}` ({rows:,})" for name, rows in group.items()) for group in alike]
    more = f"; … ({len(groups)} groups in all)" if len(groups) > MOST else ""
    what = "case, spaces or a whole number's .0"
    return [f"labels that differ in {what} alone are classes of their own: " + "; ".join(groups[:MOST]) + more]


def of_leaks(place: str, leaks: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a line for each column of the text that predicts the label by itself."""
    said = []
    for leak in leaks:
        names = " and ".join(f"`{name}`" for name in leak["columns"])
        what, verb = ("column", "predicts") if len(leak["columns"]) == 1 else ("columns", "together predict")
        said.append(
            f"{place}: {what} {names} {verb} the label without the rest: {leak['with_one_label']:,} of "
            f"{leak['repeated_values']:,} repeated values have one label each (in {leak['rows']:,} rows). "
            "Is it known at prediction time?"
        )
    return said


def _lines(numbers: Sequence[int]) -> str:
    return listed(numbers[:SHOWN], len(numbers)).replace("row", "line", 1)


def _counted(counts: Mapping[str, int], quote: str = "") -> str:
    shown = [f"{quote}{what}{quote} ×{number:,}" for what, number in counts.items()]
    return ", ".join(shown[:MOST]) + (", …" if len(shown) > MOST else "")


def _visible(name: str) -> str:
    """Return a label with what cannot be seen in it written out."""
    return "".join(letter if letter.isprintable() else f"<U+{ord(letter):04X}>" for letter in name)
