"""What a library is by declaration: `traits:` of its conf/recipe/NAME.yaml, and its recipe's docstring.

A trait is no part of what a run is. Neither Hydra nor OmegaConf is imported here: scripts/choose.py starts fast.
"""

import ast
import re
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, TypedDict, cast

import yaml

from harness.base.errors import UserError
from harness.base.home import ROOT
from harness.figures.metrics import CLASSIFICATION

OWN = {  # how much of the implementation is yours, from least to most: you …
    "call": "call one method",
    "callbacks": "fill in callbacks",
    "classes": "register classes of your own",
    "loop": "write the loop",
}
WATCH = {  # what the library itself gives at each step
    "loss": "the loss",
    "learning_rate": "the learning rate",
    "gradient_norm": "the norm of the gradient",
    "gradients": "the gradients, in a hook before the optimizer's step",
}


@dataclass(frozen=True)
class Trait:
    """A declared fact, where it stands, and the day it was looked up there (ISO)."""

    value: Any
    source: str
    date: str


class Declared(TypedDict):
    """A trait as it stands in a file."""

    value: Any
    source: str
    date: object  # YAML makes a date of it


class RecipeFile(TypedDict, total=False):
    """What is read here of conf/recipe/NAME.yaml."""

    name: str
    environment: str
    backend: str
    variants: list[str]
    tasks: list[str]
    pretrained: bool
    epochs: bool
    input: str
    places: list[str]
    places_of: dict[str, list[str]]  # by backend
    slow_bf16: list[str]
    no_bf16: str
    traits: dict[str, Declared]


@dataclass(frozen=True)
class Library:
    """A recipe, or one of its `variants`, as scripts/choose.py weighs it."""

    words: tuple[str, ...]  # that choose it: recipe=keras recipe.backend=jax
    settings: RecipeFile  # its file, with those words over it

    @property
    def recipe(self) -> str:
        return self.settings["name"]

    @property
    def name(self) -> str:
        """Return its name as harness.results has it: `keras backend=jax`."""
        return " ".join([self.recipe, *(word.removeprefix("recipe.") for word in self.words[1:])])

    @property
    def file(self) -> str:
        return f"conf/recipe/{self.recipe}.yaml"

    @cached_property
    def traits(self) -> dict[str, Trait]:
        declared = self.settings.get("traits", {})
        return {name: Trait(one["value"], one["source"], str(one["date"])) for name, one in declared.items()}

    @property
    def places(self) -> list[str]:
        several = self.settings.get("places_of")
        return several[self.settings["backend"]] if several else self.settings.get("places", ["cpu"])

    @property
    def takes(self) -> list[str]:
        """Return what `task=` may be with it."""
        return self.settings.get("tasks") or [CLASSIFICATION]

    @property
    def reads_pictures(self) -> bool:
        """Tell whether it is for pictures, and has of a text what a printer makes of it."""
        return self.settings.get("input") == "images"

    @property
    def takes_bf16(self) -> bool:
        """Tell whether it computes in bf16 at all."""
        return "no_bf16" not in self.settings

    @property
    def faster_in_bf16(self) -> bool:
        """Tell whether `precision=auto` is bf16 with it on processors that compute it."""
        return self.takes_bf16 and self.framework not in self.settings.get("slow_bf16", [])

    @property
    def framework(self) -> str:
        """Return what it computes by: its backend, where it has several, or itself."""
        return self.settings.get("backend", self.recipe)


def libraries() -> list[Library]:
    """Return every recipe with each of its variants, by name."""
    found = []
    for path in sorted((ROOT / "conf" / "recipe").glob("*.yaml")):
        settings: RecipeFile = yaml.load(path.read_text(encoding="utf-8"), LOADER)
        for words in ([], *([word] for word in settings.get("variants", []))):
            own = cast(RecipeFile, dict(word.removeprefix("recipe.").split("=", 1) for word in words))
            found.append(Library((f"recipe={path.stem}", *words), {**settings, **own}))
    return found


LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast, where PyYAML has it


def speaking(language: str) -> list[str]:
    """Return the choices of `model=` whose files declare a language, and then those that declare many."""
    return [*models().get(language, []), *models().get("multilingual", [])]


@cache
def models() -> dict[str, list[str]]:
    """Return the choices of `model=` by the language that their files declare."""
    found: dict[str, list[str]] = {}
    for path in sorted((ROOT / "conf" / "model").glob("*.yaml")):
        language = yaml.load(path.read_text(encoding="utf-8"), LOADER).get("language")
        if language:
            found.setdefault(language, []).append(path.stem)
    return found


@cache
def docstring(recipe: str) -> tuple[str, str, str]:
    """Return what a recipe's docstring says in its form: `WHAT: who owns the loop.` and `Pick it …`."""
    text = ast.get_docstring(ast.parse((ROOT / "recipes" / recipe / "recipe.py").read_text(encoding="utf-8"))) or ""
    match = re.match(r"(.+?): (.+?)\.\n\nPick it (.+?)\.(\n\n|$)", text, re.DOTALL)
    if not match:
        raise UserError(
            f"recipes/{recipe}/recipe.py: its docstring must read 'WHAT: who owns the loop.', and 'Pick it …' below."
        )
    return match[1], match[2], " ".join(match[3].split())
