"""The settings, made of what Hydra composed, and checked: before any work, and in words."""

import re
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from harness.base.errors import UserError, address
from harness.config import allowed, tasks
from harness.config.choices import loggers
from harness.config.placing import check_taken
from harness.config.settings import EVALUATED, Recipe, Search, Settings, made
from harness.config.types import composed
from recipes.contract.job import Every

TEXTS = {
    "name", "train", "valid", "test", "label", "encoding", "path", "level", "id", "config_name", "revision", "sheet",
    "label_separator", "main_process_ip", "weights", "font", "licence",
}  # fmt: skip


def checked(config: DictConfig) -> Settings:
    """Return the settings that a configuration gives: nothing missing, all numbers in their range."""
    try:
        allowed.check(config)
        values: dict[str, Any] = OmegaConf.to_container(config, resolve=True, throw_on_missing=True, enum_to_str=True)  # type: ignore[assignment]
    except MissingMandatoryValue as error:
        if (key := str(error.full_key)).startswith("placement."):  # asked for by a placement that a recipe may not take
            name, recipe = config.placement.name, config.recipe
            check_taken(name, recipe.name, recipe.get("places", Recipe.places), recipe.get("elsewhere"))
        raise UserError(f"{key} is needed: give it as {key}=VALUE.", code=2) from None
    except OmegaConfBaseException as error:
        raise UserError(str(error).splitlines()[0], code=2) from None
    if url := address(values["outputs"]):
        raise UserError(f"outputs={url}: results go to a folder of this machine.", code=2)
    check_names(values)
    tasks.settle(values)
    check_evaluated(values)
    check_measure(values["measure"])
    place_search(values)
    if files := allowed.files(values["recipe"].get("allowed", {})):
        values["recipe"]["files"] = files
    for key in ("allowed", "traits"):  # of the keys, and for scripts/choose.py: no part of what a run is
        values["recipe"].pop(key, None)
    values["logger"] = loggers_of(values["logger"])
    if values["model"]["from_scratch"] == "seed":
        values["model"]["from_scratch"] = values["seed"]
    values["checkpoint"] = every(values["checkpoint"]["every"])
    return made(Settings, values)


def check_names(values: dict[str, Any]) -> None:
    """Make texts of what must be text (Hydra reads `5` as a number), and refuse lists and odd names there."""
    for group in ("recipe", "data", "model", "protocol", "placement"):
        section = values[group]
        for key in TEXTS & section.keys():
            value = section[key]
            if isinstance(value, (list, dict)):
                raise UserError(f"{group}.{key}={value}: one value is needed, not several.", code=2)
            section[key] = None if value is None else str(value)
        if not re.fullmatch(r"\w[\w.-]*", section["name"]):
            raise UserError(
                f"{group}.name={section['name']}: a name of letters, digits, '_', '-', '.' is needed.", code=2
            )
    texts = values["data"].get("text")
    if isinstance(texts, dict) or (isinstance(texts, list) and any(isinstance(text, (list, dict)) for text in texts)):
        raise UserError(f"data.text={texts}: the name of a column is needed, or a list of names.", code=2)
    if texts is not None:
        names = texts if isinstance(texts, list) else [texts]
        values["data"]["text"] = [str(name) for name in names]


def check_evaluated(values: dict[str, Any]) -> None:
    """Order the splits that a run is measured on, and refuse others: valid is always among them."""
    chosen = set(values["evaluate"])
    if "valid" not in chosen or chosen - set(EVALUATED):
        raise UserError(f"evaluate={values['evaluate']}: there are [valid] and [valid,test].", code=2)
    values["evaluate"] = [name for name in EVALUATED if name in chosen]


def check_measure(measure: dict[str, Any]) -> None:
    """Refuse what cannot be measured."""
    sizes = measure["batch_sizes"]
    if len(set(sizes)) < len(sizes):
        raise UserError(f"measure.batch_sizes={sizes}: different numbers are needed.", code=2)
    if not measure["at_most"] >= measure["seconds"]:
        raise UserError(f"measure.at_most={measure['at_most']}: at least measure.seconds is needed.", code=2)


def place_search(values: dict[str, Any]) -> None:
    """Check the search, and take to it what the recipe says of one: that is no part of what a run is."""
    own = values["recipe"].pop("search", None) or {}
    if not values["hparams_search"]:
        return
    try:
        typed = OmegaConf.merge(composed(Search), values["hparams_search"])
        search: Any = OmegaConf.to_container(typed, throw_on_missing=True, enum_to_str=True)
    except OmegaConfBaseException as error:
        raise UserError(f"hparams_search.{error.full_key}: {str(error).splitlines()[0]}", code=2) from None
    if search["space"] is None:  # what the protocol sets in the recipe's place is not the recipe's
        search["space"] = {f"recipe.{key}": text for key, text in own.items() if key not in values["protocol"]}
    values["hparams_search"] = search


def loggers_of(value: Any) -> list[str]:
    """Return the loggers that `logger=` names, without `none`."""
    chosen = [str(name) for name in (value if isinstance(value, list) else [value]) if name is not None]
    if unknown := sorted(set(chosen) - {*loggers(), "none"}):
        raise UserError(f"logger={','.join(unknown)}: there are {', '.join(loggers())} and none.", code=2)
    return sorted(set(chosen) - {"none"})


def every(value: Any) -> Every:
    """Return how often `checkpoint.every=` means: a number of steps, a time, or never."""
    if value is None:
        return Every()
    if match := re.fullmatch(r"(\d+(?:\.\d+)?) ?(s|min|h)", str(value)):
        return Every(seconds=float(match[1]) * {"s": 1, "min": 60, "h": 3600}[match[2]])
    if re.fullmatch(r"[1-9]\d*", str(value)):
        return Every(steps=int(value))
    raise UserError(f"checkpoint.every={value}: give a number of steps (100), a time (30s, 10min, 1h) or null.", code=2)
