"""SkillSpan (MIT): does a sentence of a job posting name a skill, a piece of knowledge, both, or neither?

As task=multilabel it is two labels, skill and knowledge, of which a sentence may have none.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.base.errors import UserError
from harness.base.home import sha256
from harness.inputs.data.files import check_file
from harness.inputs.data.kinds import hub
from harness.inputs.data.source import Notes, Part, Row, Source
from harness.inputs.data.tables import Cells, Options, json_lines

HUB = "jjzha/skillspan"
COLUMNS = ["tokens", "tags_skill", "tags_knowledge"]
FILES = {"train": "train.json", "valid": "dev.json", "test": "test.json"}
HUB_SPLITS = {"train": ["train"], "valid": ["validation", "dev"], "test": ["test"]}
LABELS = {(True, True): "both", (True, False): "skill", (False, True): "knowledge", (False, False): "neither"}


def source(config: Mapping[str, Any]) -> Source:
    """Return the three splits from the folder `data.path`, or from the hub."""
    several = config["task"] == "multilabel"
    if not config["path"]:
        found = hub.find(HUB, None, None, "data=skillspan data.path=FOLDER")
        parts = {
            split: Part(f"{HUB}, split {names[0]}", _reader(found.cells, names, several))
            for split, names in HUB_SPLITS.items()
        }
        return Source(parts, found.identity, found.described, drop_empty=True)
    folder = Path(config["path"]).expanduser()
    if not folder.is_dir():
        raise UserError(f"data.path={folder}: there is no such folder. It must hold {', '.join(FILES.values())}.")
    parts, described = {}, {}
    for split, name in FILES.items():
        check_file(folder / name)
        parts[split] = Part(str(folder / name), _reader(_file_cells, folder / name, several))
        described[split] = {"file": str((folder / name).absolute()), "sha256": sha256(folder / name)}
    digests = {split: entry["sha256"] for split, entry in described.items()}
    return Source(parts, {"files": digests}, described, drop_empty=True)


def _file_cells(path: Path, columns: list[str], notes: Notes) -> Cells:
    return json_lines(path, columns, Options(), notes)


def _reader(cells_of: Any, where: Any, several: bool) -> Any:
    def read(notes: Notes) -> Iterator[Row]:
        for number, (tokens, skill, knowledge) in cells_of(where, COLUMNS, notes):
            for cell in (tokens, skill, knowledge):
                if not isinstance(cell, list) or not all(isinstance(item, str) for item in cell):
                    raise UserError(f"{where}, row {number}: {', '.join(COLUMNS)} must be lists of text.")
            named = any(t != "O" for t in skill), any(t != "O" for t in knowledge)
            both = [name for name, there in zip(("skill", "knowledge"), named, strict=True) if there]
            yield number, " ".join(tokens), both if several else LABELS[named]

    return read
