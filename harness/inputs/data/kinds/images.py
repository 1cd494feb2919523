"""Pictures in folders, a subfolder for each class: one folder that is split, or one a split.

The text of a row is its picture's path below the folder. What a picture is, its first bytes say; whether all of it can
be read, the recipe sees before it trains.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.base import progress
from harness.base.errors import UserError, not_here
from harness.base.home import sha256
from harness.inputs.data.kinds.csv import check_splits
from harness.inputs.data.rows import SHOWN
from harness.inputs.data.source import SPLITS, Notes, Part, Row, Source

STARTS = {  # of a file -> what it is
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"GIF8": "GIF",
    b"BM": "BMP",
    b"II*\x00": "TIFF",
    b"MM\x00*": "TIFF",
}
LEFT_BY_SYSTEMS = {"thumbs.db", "desktop.ini"}  # beside hidden files, whose names begin with a dot


def source(config: Mapping[str, Any]) -> Source:
    """Return the folders `data.train`, `data.valid` and `data.test` (null: cut from train) as splits."""
    if not config["train"]:
        raise UserError("data.train=FOLDER is needed: a folder with a subfolder for each class, of pictures.", code=2)
    folders = {split: Path(config[split]).expanduser() for split in SPLITS if config[split]}
    check_splits({split: folder.resolve() for split, folder in folders.items()})
    parts, described = {}, {}
    for split, folder in folders.items():
        pictures = found(folder)
        content = [[name, sha256(folder / name)] for name in pictures]
        digest = hashlib.sha256(json.dumps(content).encode()).hexdigest()
        parts[split] = Part(str(folder), _reader(pictures), folder)
        described[split] = {"folder": str(folder.absolute()), "sha256": digest}
    return Source(parts, {"pictures": {split: one["sha256"] for split, one in described.items()}}, described)


def found(folder: Path) -> list[str]:
    """Return the paths of the pictures below a folder, sorted; UserError for what is no picture, and where it lies."""
    if not folder.is_dir():
        raise UserError(f"{folder} is a file; give the folder." if folder.exists() else not_here(folder, "folder"))
    classes = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    loose = files_of([path for path in folder.iterdir() if not path.is_dir()])
    refuse(loose, f"{folder}: these files are in no subfolder, so of no class", "Move each into that of its class.")
    pictures = {path: sorted(below(path)) for path in classes}
    if empty := [path for path, there in pictures.items() if not there]:
        progress.say(f"data: {listed(empty)}: without pictures, so no class")
    if sum(map(bool, pictures.values())) < 2:
        raise UserError(f"{folder}: a subfolder of pictures for each class is needed, two at least.")
    every = [path for there in pictures.values() for path in there]
    refuse([path for path in every if not is_picture(path)], f"{folder}: these files are no pictures ({formats()})",
           "Take them out, or turn them into such.")  # fmt: skip
    return [path.relative_to(folder).as_posix() for path in every]


def below(folder: Path) -> Iterator[Path]:
    """Yield the files in a folder and in those below it, hidden ones left out; UserError for a link to a folder."""
    for place, folders, names in os.walk(folder):
        here = Path(place)
        folders[:] = [name for name in folders if not name.startswith(".")]
        links = [here / name for name in folders if (here / name).is_symlink()]
        refuse(links, f"{folder}: these are links to folders, which may lead in a circle", "Put the folders there.")
        yield from files_of([here / name for name in names])


def files_of(paths: list[Path]) -> list[Path]:
    """Return which of the paths count; UserError for links to nowhere and names that are no Unicode."""
    kept = [path for path in paths if not path.name.startswith(".") and path.name.lower() not in LEFT_BY_SYSTEMS]
    refuse([path for path in kept if not path.exists()], "these are links to files that are not there", "Mend them.")
    refuse([path for path in kept if not is_unicode(path)], "the names of these files are no Unicode", "Rename them.")
    return kept


def is_unicode(path: Path) -> bool:
    """Tell whether a name can be written as UTF-8: where it cannot it was made in another encoding."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def is_picture(path: Path) -> bool:
    """Tell whether a file begins as a picture does."""
    try:
        if not path.is_file():
            return False
        with open(path, "rb") as handle:
            head = handle.read(16)
    except PermissionError:
        raise UserError(f"{path} may not be read: no permission.") from None
    except (OSError, ValueError):  # too long for a path, or with a NUL: a text
        return False
    return head.startswith(tuple(STARTS)) or (head[:4], head[8:12]) == (b"RIFF", b"WEBP")


def formats() -> str:
    return ", ".join(dict.fromkeys([*STARTS.values(), "WebP"]))


def refuse(paths: list[Path], what: str, instead: str) -> None:
    """Raise UserError where there are such paths."""
    if paths:
        raise UserError(f"{what}: {listed(paths)}.\n{instead}")


def listed(paths: list[Path]) -> str:
    """Return the first paths in words, and how many there are where that is not plain."""
    more = f", … ({len(paths):,} in all)" if len(paths) > SHOWN else ""
    names = [os.fsencode(path).decode(errors="replace") for path in sorted(paths)[:SHOWN]]
    return ", ".join(names) + more


def _reader(pictures: list[str]) -> Any:
    def read(notes: Notes) -> Iterator[Row]:
        for number, name in enumerate(pictures, 1):
            yield number, name, name.partition("/")[0]

    return read
