"""What a finished run got wrong, of a split that is asked for."""

import json
from pathlib import Path

from harness.base.errors import UserError
from harness.base.home import home
from harness.figures import mistakes
from harness.use.saved import Saved


def written(run: Saved, split: str) -> Path:
    """Write what the run got wrong of a split into its folder, from its predictions; return the file."""
    if not (run.folder / f"predictions_{split}.npz").is_file():
        raise UserError(
            f"{run.folder} has no predictions of {split}: they are not in results in small, nor in a search's."
        )
    data = data_of(run) / split
    return mistakes.keep(data, run.task.name, run.job["labels"], run.scale, run.folder, split)


def data_of(run: Saved) -> Path:
    """Return the folder of the data that the run was measured on, found by its digest among those prepared here."""
    for path in (home() / "data").glob("*/dataset.json"):
        if json.loads(path.read_text(encoding="utf-8")).get("digest") == run.row["data_digest"]:
            return path.parent
    raise UserError(
        f"the data of {run.folder.name} is not prepared on this machine (digest {run.row['data_digest'][:12]}).\n"
        f"This prepares it, and does the run again: {run.row['command']} rerun=true"
    )
