"""SkillSpan (MIT): does a sentence of a job posting name a skill, a piece of knowledge, both, or neither?

As task=multilabel it is two labels, skill and knowledge, of which a sentence may have none. As task=tagging it is the
spans of one of the two layers, `data.layer`: a word may be in a span of both, and a tag says one alone.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.base.errors import UserError
from harness.base.home import sha256
from harness.inputs.data import tagged
from harness.inputs.data.files import check_file
from harness.inputs.data.kinds import hub
from harness.inputs.data.source import Notes, Part, Row, Source
from harness.inputs.data.spans import OUTSIDE, Wanted
from harness.inputs.data.tables import Cells, Options, json_lines

HUB = "jjzha/skillspan"
COLUMNS = ["tokens", "tags_skill", "tags_knowledge"]
FILES = {"train": "train.json", "valid": "dev.json", "test": "test.json"}
HUB_SPLITS = {"train": ["train"], "valid": ["validation", "dev"], "test": ["test"]}
LAYERS = ("skill", "knowledge")
LABELS: dict[tuple[bool, ...], str] = {
    (True, True): "both",
    (True, False): "skill",
    (False, True): "knowledge",
    (False, False): "neither",
}


def source(config: Mapping[str, Any]) -> Source:
    """Return the three splits from the folder `data.path`, or from the hub."""
    task, layer = config["task"], config["layer"]
    if layer not in LAYERS:
        raise UserError(f"data.layer={layer}: there are {' and '.join(LAYERS)}.", code=2)
    identity = {"layer": layer} if task == "tagging" else {}
    if not config["path"]:
        found = hub.find(HUB, None, None, "data=skillspan data.path=FOLDER")
        parts = {
            split: Part(f"{HUB}, split {names[0]}", _reader(found.cells, names, task, layer))
            for split, names in HUB_SPLITS.items()
        }
        return Source(parts, found.identity | identity, found.described, drop_empty=True)
    folder = Path(config["path"]).expanduser()
    if not folder.is_dir():
        raise UserError(f"data.path={folder}: there is no such folder. It must hold {', '.join(FILES.values())}.")
    parts, described = {}, {}
    for split, name in FILES.items():
        check_file(folder / name)
        parts[split] = Part(str(folder / name), _reader(_file_cells, folder / name, task, layer))
        described[split] = {"file": str((folder / name).absolute()), "sha256": sha256(folder / name)}
    digests = {split: entry["sha256"] for split, entry in described.items()}
    return Source(parts, {"files": digests, **identity}, described, drop_empty=True)


def _file_cells(path: Path, columns: list[str], notes: Notes) -> Cells:
    return json_lines(path, columns, Options(), notes)


def _reader(cells_of: Any, where: Any, task: str, layer: str) -> Any:
    def cells(notes: Notes) -> Cells:
        for number, row in cells_of(where, COLUMNS, notes):
            for cell in row:
                if not isinstance(cell, list) or not all(isinstance(item, str) for item in cell):
                    raise UserError(f"{where}, row {number}: {', '.join(COLUMNS)} must be lists of text.")
            yield number, row

    def read(notes: Notes) -> Iterator[Row]:
        for number, (tokens, *layers) in cells(notes):
            named = tuple(any(tag != OUTSIDE for tag in tags) for tags in layers)
            both = [name for name, there in zip(LAYERS, named, strict=True) if there]
            yield number, " ".join(tokens), both if task == "multilabel" else LABELS[named]

    def tagged_cells(notes: Notes) -> Cells:
        for number, (tokens, *layers) in cells(notes):
            yield number, [tokens, _tags(layers[LAYERS.index(layer)], layer)]

    return tagged.reader(tagged_cells, Wanted()) if task == "tagging" else read


def _tags(column: list[str], layer: str) -> list[str]:
    """Return the tags of a layer, whose column has B, I or O; a span of the test split begins with I: B is meant."""
    before = [OUTSIDE, *column]
    begun = ["B" if (tag, last) == ("I", OUTSIDE) else tag for tag, last in zip(column, before, strict=False)]
    return [tag if tag == OUTSIDE else f"{tag}-{layer}" for tag in begun]
