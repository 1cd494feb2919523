"""How a training is done: what `compile=` and `batches=` may be with a recipe, and what `auto` takes.

A recipe's file says it in `ways:`, for each word of each key the devices that have it, and the optimiser steps from
which it pays there, by what was measured: `auto` takes the last word that pays. null: only where somebody asks for it.
"""

from collections.abc import Mapping

from harness.base import wheels
from harness.base.errors import UserError
from harness.config.settings import Recipe, Settings
from harness.machine.placement import Placement

Words = Mapping[str, Mapping[str, int | None]]  # word -> device -> the steps from which `auto` takes it there

PLAIN: dict[str, Words] = {  # of a recipe that says nothing
    "compile": {"none": {"cpu": 0, "gpu": 0}},
    "batches": {"padded": {"cpu": 0, "gpu": 0}},
}


def of(recipe: Recipe, key: str) -> Words:
    return recipe.ways.get(key) or PLAIN[key]


def check(settings: Settings, where: Placement) -> None:
    """Refuse what the recipe, or the device, does not have."""
    for key in PLAIN if settings.recipe.by_epochs else ():
        asked, words = getattr(settings, key).value, of(settings.recipe, key)
        here = [word for word, by_device in words.items() if device(where) in by_device]
        if asked in settings.recipe.compiler and asked in here and not wheels.compiler():
            raise UserError(
                f"{key}={asked} needs a C++ compiler.\n{wheels.INSTALL_COMPILER}, or take {key}=auto.", code=2
            )
        if asked in ("auto", *here):
            continue
        what = f"{key}={asked}: recipe={settings.recipe.name}"
        if asked in words:
            there = "on a GPU" if where.gpu else "on processors"
            raise UserError(f"{what} does not have it {there}; there it takes {', '.join(['auto', *here])}.", code=2)
        raise UserError(f"{what} takes {', '.join(['auto', *words])}.", code=2)


def chosen(settings: Settings, where: Placement, steps: int) -> dict[str, str]:
    """Return the word of each key for a training of so many optimiser steps, where `auto` is settled."""
    found = {}
    for key in PLAIN:
        asked, words = getattr(settings, key).value, of(settings.recipe, key)
        least = {word: by_device.get(device(where)) for word, by_device in words.items() if can(settings, where, word)}
        pays = [word for word, needed in least.items() if needed is not None and steps >= needed]
        found[key] = pays[-1] if asked == "auto" else asked
    return found


def can(settings: Settings, where: Placement, word: str) -> bool:
    """Tell whether `auto` may take a word here: it has the compiler, and the one device, that the word needs."""
    recipe = settings.recipe
    alone = where.processes == 1 or f"compile={word}" not in recipe.one_device_only
    return alone and (word not in recipe.compiler or wheels.compiler())


def device(where: Placement) -> str:
    return "gpu" if where.gpu else "cpu"
