"""Which task a run has: what the data says, unless `task=` says another that the data can be and the recipe takes."""

from pathlib import PurePath
from typing import Any

import yaml

from harness.base.errors import UserError, nearest
from harness.config.choices import choices, source

CONLL = (".conll", ".bio", ".iob2")  # endings of files with a word and its tag a line

PLAIN = "classification"  # where a file of conf/data/ or conf/recipe/ has no `tasks`


def settle(values: dict[str, Any]) -> None:
    """Set `task` to the name of the run's task, and take `tasks` out of data and recipe: they say what can be.

    Of several that the data can be the first is taken that the recipe takes; what parts labels in a cell,
    `data.label_separator`, says multilabel, and a file with a word and its tag a line tagging.
    """
    data, recipe = values["data"], values["recipe"]
    can, takes = (section.pop("tasks", None) or [PLAIN] for section in (data, recipe))
    separator = data.get("label_separator")
    told = next((one for one in can if one in takes), can[0])
    told = "multilabel" if separator else "tagging" if is_conll(data.get("train") or "") else told
    task = told if values["task"] is None else values["task"]
    if is_conll(data.get("train") or "") and task != "tagging":
        raise UserError(f"{data['train']}: a file with a word and its tag a line is for task=tagging, not {task}.", 2)
    if separator and task != "multilabel":
        raise UserError(f"data.label_separator={separator} parts several labels: task=multilabel, not {task}.", code=2)
    if task not in can and task not in (known := usable()):
        raise UserError(f"task={task}: give one of {', '.join(known)}, or null.{nearest(task, known)}", code=2)
    if task not in can:
        others = [name for name in choices("data") if task in tasks("data", name)]
        instead = f" With task={task}: {', '.join(f'data={name}' for name in others)}." if others else ""
        raise UserError(f"task={task}: data={data['name']} is {' or '.join(can)}.{nearest(task, can)}{instead}", code=2)
    if task not in takes:
        others = [name for name in choices("recipe") if task in tasks("recipe", name)]
        instead = f" These do: {', '.join(f'recipe={name}' for name in others)}." if others else ""
        raise UserError(f"recipe={recipe['name']} does not take task={task}.{instead}", code=2)
    values["task"] = task


def is_conll(path: str) -> bool:
    """Tell by its name, packed or not, whether a file has a word and its tag a line."""
    return any(ending in CONLL for ending in PurePath(path.lower()).suffixes[-2:])


def usable() -> list[str]:
    """Return the tasks that some data can be and some recipe takes, in the order in which the files name them."""
    named = [
        dict.fromkeys(task for name in choices(group) for task in tasks(group, name)) for group in ("data", "recipe")
    ]
    return [task for task in named[0] if task in named[1]]


def tasks(group: str, name: str) -> list[str]:
    """Return the tasks that a choice of conf/data/ or conf/recipe/ names."""
    return yaml.safe_load(source(group, name)).get("tasks") or [PLAIN]
