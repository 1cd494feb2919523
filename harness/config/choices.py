"""What there is to choose from in conf/."""

import yaml
from omegaconf import OmegaConf

from harness.base.home import ROOT

CONF = ROOT / "conf"


def choices(group: str) -> list[str]:
    """Return the names one can choose in a group of conf/."""
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def loggers() -> list[str]:
    """Return what `logger=` may name: each is a program in harness/runs/loggers/."""
    return sorted(path.stem for path in (ROOT / "harness" / "runs" / "loggers").glob("[!_]*.py"))


def source(group: str, name: str) -> str:
    """Return the text of a choice's file."""
    return (CONF / group / f"{name}.yaml").read_text(encoding="utf-8")


def variants() -> list[list[str]]:
    """Return the words that choose each recipe with an encoder, and each of the `variants` that its file names."""
    found = []
    for name in choices("recipe"):
        recipe = yaml.safe_load(source("recipe", name))
        if recipe["pretrained"]:
            found += [[f"recipe={name}", *words] for words in ([], *([word] for word in recipe.get("variants", [])))]
    return found


def takes_pictures(recipe: str) -> bool:
    """Tell whether a recipe takes pictures too, and draws what is a text."""
    return yaml.safe_load(source("recipe", recipe)).get("input") == "images"


def recipes_environments(name: str) -> list[str]:
    """Return the environments of a recipe, that of each of its variants."""
    text = source("recipe", name)
    words = yaml.safe_load(text).get("variants", [])
    files = [OmegaConf.merge(OmegaConf.create({"recipe": OmegaConf.create(text)}), OmegaConf.from_dotlist(chosen))
             for chosen in ([], *([word] for word in words))]  # fmt: skip
    return [OmegaConf.select(file, "recipe.environment") for file in files]
