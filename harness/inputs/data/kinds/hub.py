"""Any data set of the Hugging Face hub, or of a local folder, by its id and columns, through `datasets`."""

import functools
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from harness.base import progress
from harness.base.errors import UserError, nearest
from harness.base.home import home, sha256
from harness.inputs.data import tagged
from harness.inputs.data.columns import places
from harness.inputs.data.kinds.csv import check_splits, columns, rules, rules_identity
from harness.inputs.data.source import SPLITS, Notes, Part, Row, Source
from harness.inputs.data.tables import Cells

SECONDS = 10  # to wait for the hub's first answer
LOGIN = "log in with `hf auth login` or set HF_TOKEN"
FILE_INSTEAD = "data=csv data.train=FILE"


@dataclass(frozen=True)
class Found:
    """A data set that is there. `cells(splits, columns, notes)` streams the first of `splits` that it has."""

    identity: dict[str, Any]
    described: dict[str, Any]
    cells: Callable[[list[str], list[str], Notes], Cells]


def source(config: Mapping[str, Any]) -> Source:
    """Return the splits that `data.splits` names, of the data set `data.id`."""
    if not config["id"]:
        raise UserError("data.id=OWNER/NAME is needed: a data set on the Hugging Face hub, or a local folder.")
    texts, label = columns(config)
    found = find(str(config["id"]), config["config_name"], config["revision"])
    names = {split: config["splits"][split] for split in SPLITS if config["splits"].get(split)}
    if "train" not in names:
        raise UserError("data.splits.train=NAME is needed: the data set's split to train on.")
    check_splits(names)
    parts = {
        split: Part(f"{config['id']}, split {name}", _reader(found, name, [*texts, label], config))
        for split, name in names.items()
    }
    identity = {**found.identity, "splits": names, "text": texts, "label": label, **rules_identity(config)}
    return Source(parts, identity, found.described, **rules(config))


def find(name: str, config_name: str | None, revision: str | None, instead: str = FILE_INSTEAD) -> Found:
    """Return the data set `name`: a local folder, or one on the hub at the commit that `revision` now means.

    Raises UserError when there is none, or when the hub cannot be reached and its cache does not hold it.
    """
    folder = Path(name).expanduser()
    if folder.is_dir():
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        content = [[str(path.relative_to(folder)), sha256(path)] for path in files]
        digest = hashlib.sha256(repr(content).encode()).hexdigest()
        identity, described = {"folder": digest}, {"folder": str(folder.absolute()), "sha256": digest}
        name, commit, cached = str(folder), None, False
        cache = home() / "hub" / digest[:12]  # its own cache would not see a changed byte at an unchanged time
    else:
        commit, cached = _commit(name, revision, instead)
        cache = None
        identity = {"id": name, "commit": commit}
        described = {"id": name, "revision": commit}

    @functools.cache
    def load() -> Any:
        return _load(name, config_name, commit, cached, cache, instead)

    def cells(splits: list[str], wanted: list[str], notes: Notes) -> Cells:
        return _cells(load(), name, splits, wanted, notes)

    return Found({**identity, "config_name": config_name}, described, cells)


def _reader(found: Found, split: str, wanted: list[str], config: Mapping[str, Any]) -> Callable[[Notes], Iterator[Row]]:
    if config["task"] == "tagging":
        cells, whole = functools.partial(found.cells, [split], wanted), f"split {split}" if split == "train" else None
        return tagged.reader(cells, tagged.wanted(config), whole)

    def read(notes: Notes) -> Iterator[Row]:
        for number, row in found.cells([split], wanted, notes):
            yield number, row[:-1], row[-1]

    return read


def _commit(name: str, revision: str | None, instead: str) -> tuple[str, bool]:
    """Return the commit that `revision` (null: the newest) means, and whether it is to be taken from the cache.

    The hub is asked, unless `revision` is the commit that the cache holds; where it cannot be reached, that one
    is taken.
    """
    from huggingface_hub import HfApi, constants
    from huggingface_hub.errors import GatedRepoError, HFValidationError, RepositoryNotFoundError, RevisionNotFoundError

    newest = _cached_commit(Path(constants.HF_HOME), name)
    cached = newest if revision in (None, newest) else None  # `datasets` takes the newest it has, and no other
    if cached and (revision or constants.HF_HUB_OFFLINE):
        return cached, True
    try:
        return str(HfApi().dataset_info(name, revision=revision, timeout=SECONDS).sha), False
    except GatedRepoError:
        raise UserError(f"data.id={name} asks for consent: give it on its page on the hub, then {LOGIN}.") from None
    except (RepositoryNotFoundError, HFValidationError):
        raise UserError(
            f"data.id={name} is neither a folder here nor a data set on the hub. Check the name; if it is private, "
            f"{LOGIN}."
        ) from None
    except RevisionNotFoundError:
        raise UserError(f"data.id={name} has no revision {revision}. Give a branch, a tag or a commit.") from None
    except Exception as error:  # no connection, a proxy's refusal, a broken certificate, …: many classes
        if cached:
            progress.say(f"data: the hub cannot be reached; taking {name} from its cache (commit {cached[:12]})")
            return cached, True
        raise _unreachable(name, error, instead) from None


def _cached_commit(hf_home: Path, name: str) -> str | None:
    """Return the commit of the newest copy of the data set in the cache of `datasets`, if there is one."""
    root = Path(os.environ.get("HF_DATASETS_CACHE", hf_home / "datasets")).expanduser()
    folders = [path for path in root.glob("*") if _plain(path.name) == _plain(name)]
    copies = (info.parent for path in folders for info in path.glob("*/*/*/dataset_info.json"))
    newest = max(copies, key=lambda path: path.stat().st_mtime, default=None)
    return newest.name if newest else None


def _plain(name: str) -> str:
    """Return `owner/SomeName` as the cache's `owner___some_name` has it too: without case and separators."""
    return name.replace("/", "").replace("_", "").lower()


def _unreachable(name: str, error: Exception, instead: str) -> UserError:
    reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
    return UserError(
        f"{name}: the Hugging Face hub cannot be reached ({reason}), and its cache here does not hold this data set.\n"
        f"Either bring the data as files and give {instead}, or copy the Hugging Face cache (its HF_HOME, by default "
        "~/.cache/huggingface) of a machine that has loaded it, and set HF_HOME to the copy."
    )


def _cells(data: Any, name: str, splits: list[str], wanted: list[str], notes: Notes) -> Cells:
    """Stream the cells of the columns `wanted` of the first of `splits` that the data set has."""
    split = next((split for split in splits if split in data), None)
    if split is None:
        near = nearest(splits[0], list(data))
        raise UserError(f"{name} has no split `{splits[0]}`; there are {', '.join(data)}.{near}")
    rows = data[split]
    names = list(rows.column_names)
    wanted = [names[place] for place in places(f"{name}, split {split}", names, wanted, notes)]
    names_of = [name_of(rows.features[column]) for column in wanted]
    files = [Path(file["filename"]) for file in rows.cache_files]
    batches = chain.from_iterable(map(_batches, files))
    cells = (zip(*(batch.column(column).to_pylist() for column in wanted), strict=True) for batch in batches)
    for number, row in enumerate(chain.from_iterable(cells), 1):
        yield number, [_named(cell, name) for cell, name in zip(row, names_of, strict=True)]


def _batches(path: Path) -> Iterator[Any]:
    """Yield the record batches of an Arrow file, read and not mapped: the pages of a map stay in memory."""
    import pyarrow

    with pyarrow.OSFile(str(path)) as handle:
        yield from pyarrow.ipc.open_stream(handle)


def name_of(feature: Any) -> Any:
    """Return the function that names the class numbers of a column, or of the lists in it, if it has classes."""
    return getattr(getattr(feature, "feature", feature), "int2str", None)


def _named(cell: Any, name_of: Any) -> Any:
    """Return the name of a class number (below 0: no class), of each of a list, and any other cell as it is."""
    if name_of and isinstance(cell, list):
        return [_named(one, name_of) for one in cell]
    if name_of is None or not isinstance(cell, int):
        return cell
    return name_of(cell) if cell >= 0 else None


def _load(
    name: str, config_name: str | None, commit: str | None, cached: bool, cache: Path | None, instead: str
) -> Any:
    """Return the data set as a dict of splits, quietly; UserError for all that can go wrong."""
    from huggingface_hub import constants, logging

    offline = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = offline or cached  # read when `datasets` is imported: it tries for half a minute else
    import datasets

    logging.set_verbosity_error()
    datasets.logging.set_verbosity_error()
    datasets.disable_progress_bars()
    try:
        where = str(cache) if cache else None
        data = datasets.load_dataset(name, config_name, revision=commit, keep_in_memory=False, cache_dir=where)
    except ConnectionError as error:
        raise _unreachable(name, error, instead) from None
    except Exception as error:  # the library raises ValueError, its own classes, and those of its readers
        raise UserError(f"{name} cannot be loaded: {str(error).strip() or type(error).__name__}") from None
    finally:
        constants.HF_HUB_OFFLINE = offline
    files = [file["filename"] for split in data.values() for file in split.cache_files]
    if cached and not all(str(commit) in Path(file).parts for file in files):
        raise UserError(f"{name}: the cache of `datasets` does not hold commit {commit} with this data.config_name.")
    return data
