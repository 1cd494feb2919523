"""The record of a sweep: which runs it has and where their results are, written before the first run starts.

It lies in `OUTPUTS/.sweeps/NAME/sweep.json`; NAME follows from what the runs are, never from the clock, so that the
same command finds it again.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TypedDict

from omegaconf import DictConfig, OmegaConf

from harness import config
from harness.base import home
from harness.base.errors import UserError, explain
from harness.config.placing import placed
from harness.config.settings import Placement, Settings, made
from harness.machine.host import Machine
from harness.runs import prepare, store

Like = TypedDict(  # what a run is like, by the keys that its row will have; empty where it cannot be started
    "Like",
    {
        "recipe": str,
        "data": str,
        "model": str | None,
        "precision": str | None,
        "protocol": str,
        "environment": str,
        "placement": str,
        "threads": int,
        "train.rows": int,
        "train.epochs": int | None,
    },
    total=False,
)


class Told(TypedDict, total=False):
    """What the process of a run tells of it: where its result is, or why there can be none, and the exit code."""

    folder: str | None
    reason: str
    code: int


@dataclass
class Run:
    """One run of a sweep: the words that make it, its folder below the results', and what it is like (as in its row).

    A run that cannot be started (no such data, a setting out of range) has no folder but a reason and an exit code.
    """

    words: list[str]
    folder: str | None
    like: Like
    again: bool = False  # rerun=true: also where it is finished
    reason: str | None = None
    code: int = 0


@dataclass
class Record:
    """The runs of a sweep, and the words that it was asked for with.

    `at_once` is how many runs are done at once; None: as the engine sees fit.
    """

    words: list[str]
    runs: list[Run]
    at_once: int | None = 1

    @property
    def name(self) -> str:
        """What is swept over, and a digest of what the runs are."""
        runs = sorted(run.folder or " ".join(run.words) for run in self.runs)
        digest = hashlib.sha256(json.dumps(runs).encode()).hexdigest()[:8]
        keys = [word.partition("=")[0].rpartition(".")[2].strip("+~") for word in self.varying(self.runs[0])]
        return "-".join([*keys[:4], digest])

    def varying(self, run: Run) -> list[str]:
        """Return the words of a run that not all runs have; all its words where there is one run."""
        common = set.intersection(*(set(run.words) for run in self.runs)) if len(self.runs) > 1 else set()
        return [word for word in run.words if word not in common]

    def write(self, outputs: Path, elsewhere: bool = False) -> Path:
        """Write it below the folder of results; return its folder.

        What was told of another machine's runs stands, if they are done `elsewhere`. What was refused before may be
        done now; and what was told here, of files edited while the sweep was at work, is another run than these are.
        """
        folder = outputs / ".sweeps" / self.name
        folder.mkdir(parents=True, exist_ok=True)
        for note in (folder / "told").glob("*.json"):
            with contextlib.suppress(FileNotFoundError):  # the same sweep, started at once, has removed it
                if not elsewhere or "reason" in json.loads(note.read_text(encoding="utf-8")):
                    note.unlink()
        store.write_json(folder / "sweep.json", {"schema": 1, **asdict(self)})
        return folder

    @classmethod
    def read(cls, folder: Path) -> "Record":
        values = json.loads((folder / "sweep.json").read_text(encoding="utf-8"))
        return cls(values["words"], [Run(**run) for run in values["runs"]], values["at_once"])


def known(outputs: Path) -> list[Path]:
    """Return the folders of the sweeps there are, the newest last."""
    found = (outputs / ".sweeps").glob("*/sweep.json")
    return [path.parent for path in sorted(found, key=lambda path: path.stat().st_mtime)]


def described(
    words: Sequence[str], composed: DictConfig, outputs: Path, threads: int | None = None, elsewhere: bool = False
) -> Run:
    """Prepare what a run needs, once for all runs that need it, and say where its result is or will be.

    `threads` is how many it will have where it does not say so itself. Done `elsewhere`, on another machine, it may be
    placed as it cannot be here, and be another run than it would be here: it will tell (`tell`).
    """
    task = OmegaConf.masked_copy(composed, [str(key) for key in composed if key != "hydra"])
    try:
        settings = config.checked(task)
        prepared = prepare.prepare(placed_as_here(settings) if elsewhere else settings, elsewhere)
    except (UserError, OSError) as error:
        return Run(list(words), like={}, **refused(error))
    like: Like = {
        "recipe": settings.recipe.name,
        "data": settings.data.name,
        "model": prepared.model.name if prepared.model else None,
        "precision": prepared.identity.precision,
        "protocol": settings.protocol.name,
        "environment": prepared.resolved.managed if settings.env == "managed" else settings.env,
        "placement": prepared.placed.name,
        "threads": settings.threads or threads or prepared.resolved.threads,
        "train.rows": prepared.dataset.report["splits"]["train"]["rows"],
        "train.epochs": settings.train.epochs if settings.recipe.by_epochs else None,
    }
    return Run(list(words), os.path.relpath(prepared.directory, outputs), like, settings.rerun)


def placed_as_here(settings: Settings) -> Settings:
    """Return settings with the placement that this machine has, where it has not the one that is asked for."""
    try:
        placed(settings, Machine.here())
    except UserError:
        return replace(settings, placement=made(Placement, {"name": "auto"}))
    return settings


def tell(settings: Settings, words: list[str], sweep: Path) -> None:
    """Tell the sweep where a run is, if not where its record says, or why it cannot be done on this machine.

    The words are those that make it.
    """
    if not (sweep / "sweep.json").exists():
        return
    try:
        told: Told = {"folder": os.path.relpath(prepare.prepare(settings).directory, sweep.parent.parent)}
    except (UserError, OSError) as error:
        told = refused(error)
    for one in Record.read(sweep).runs:
        if one.words == words and one.folder and one.folder != told["folder"]:
            (sweep / "told").mkdir(exist_ok=True)
            store.write_json(sweep / "told" / f"{Path(one.folder).name}.json", told)


def refused(error: UserError | OSError) -> Told:
    """Return what a run is that cannot be started."""
    text, code = (str(error), error.code) if isinstance(error, UserError) else (explain(error), 1)
    return {"folder": None, "reason": text, "code": code}


def as_told(one: Run, sweep: Path) -> Run:
    """Return a run as its own process found it."""
    note = sweep / "told" / f"{Path(one.folder or 'none').name}.json"
    try:
        return replace(one, **json.loads(note.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return one


@contextlib.contextmanager
def at_work(folder: Path) -> Iterator[None]:
    """Hold the sweep while its runs are done, for those who look; a second process may do the same sweep beside."""
    with contextlib.ExitStack() as stack:
        if not is_at_work(folder):
            stack.enter_context(home.locked(folder / "lock", "this sweep"))
        yield


def is_at_work(folder: Path) -> bool:
    """Tell whether a process does the runs of the sweep."""
    return home.held(folder / "lock")
