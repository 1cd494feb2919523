"""The configuration as plain values, checked: before any work, and in words."""

import math
import re
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from harness import loggers
from harness.config.types import EVALUATED, HparamsSearch
from harness.errors import UserError, address

POOLING = ("mean", "cls")
TEXTS = {
    "name", "train", "valid", "test", "label", "encoding", "path", "level", "id", "config_name", "revision",
    "main_process_ip",
}  # fmt: skip


def plain(config: DictConfig) -> dict[str, Any]:
    """Return the configuration as plain values, checked: nothing missing, all numbers in their range."""
    try:
        values: dict[str, Any] = OmegaConf.to_container(config, resolve=True, throw_on_missing=True, enum_to_str=True)  # type: ignore[assignment]
    except MissingMandatoryValue as error:
        key = error.full_key
        raise UserError(f"{key} is needed: give it as {key}=VALUE.", code=2) from None
    except OmegaConfBaseException as error:
        raise UserError(str(error).splitlines()[0], code=2) from None
    if url := address(values["outputs"]):
        raise UserError(f"outputs={url}: results go to a folder of this machine.", code=2)
    check_names(values)
    check_evaluated(values)
    check_measure(values["measure"])
    place_search(values)
    values["recipe"].pop("traits", None)  # of the library, for scripts/choose.py: no part of what a run is
    values["logger"] = loggers_of(values["logger"])
    whole = {f"train.{name}": value for name, value in values["train"].items()}
    whole |= {"threads": values["threads"], "data.max_length": values["data"]["max_length"]}
    whole |= {f"placement.{name}": values["placement"].get(name) for name in ("processes", "num_machines")}
    for key, value in whole.items():
        if value is not None and not (isinstance(value, int) and value > 0):
            raise UserError(f"{key}={value}: a whole number above 0 is needed.", code=2)
    for name, value in values["limits"].items():
        if value is not None and not value > 0:
            raise UserError(f"limits.{name}={value}: a number above 0 is needed.", code=2)
    if values["model"]["pooling"] not in POOLING:
        raise UserError(f"model.pooling={values['model']['pooling']}: there are {' and '.join(POOLING)}.", code=2)
    dropout = values["model"]["dropout"]
    if dropout is not None and not (isinstance(dropout, (int, float)) and 0 <= dropout < 1):
        raise UserError(f"model.dropout={dropout}: a number from 0 to below 1 is needed.", code=2)
    if values["model"]["from_scratch"] == "seed":
        values["model"]["from_scratch"] = values["seed"]
    scratch = values["model"]["from_scratch"]
    if scratch is not None and not (isinstance(scratch, int) and 0 <= scratch < 2**32):
        raise UserError(
            f"model.from_scratch={scratch}: a seed is needed, a whole number; or seed, the run's own; or null.", code=2
        )
    values["checkpoint"] = every(values["checkpoint"]["every"])
    if not 0 <= values["retries"] <= 10:
        raise UserError(f"retries={values['retries']}: a whole number from 0 to 10 is needed.", code=2)
    if not 0 <= values["seed"] < 2**32:
        raise UserError(f"seed={values['seed']}: a whole number from 0 to 4294967295 is needed.", code=2)
    return values


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
    if len(set(sizes)) < len(sizes) or any(size < 1 for size in sizes):
        raise UserError(f"measure.batch_sizes={sizes}: different whole numbers above 0 are needed, or [].", code=2)
    if measure["calls"] < 1:
        raise UserError(f"measure.calls={measure['calls']}: a whole number above 0 is needed.", code=2)
    if not 0 <= measure["seconds"] < math.inf:
        raise UserError(f"measure.seconds={measure['seconds']}: a number from 0 on is needed.", code=2)
    if measure["target"] is not None and not 0 < measure["target"] <= 1:
        raise UserError(
            f"measure.target={measure['target']}: a macro-F1 on valid above 0, at most 1, is needed.", code=2
        )
    if not measure["at_most"] >= measure["seconds"]:
        raise UserError(f"measure.at_most={measure['at_most']}: at least measure.seconds is needed.", code=2)


def place_search(values: dict[str, Any]) -> None:
    """Check the search, and take to it what the recipe says of one: that is no part of what a run is."""
    own = values["recipe"].pop("search", None) or {}
    if not values["hparams_search"]:
        return
    try:
        typed = OmegaConf.merge(HparamsSearch, values["hparams_search"])
        search: Any = OmegaConf.to_container(typed, throw_on_missing=True, enum_to_str=True)
    except OmegaConfBaseException as error:
        raise UserError(f"hparams_search.{error.full_key}: {str(error).splitlines()[0]}", code=2) from None
    if search["space"] is None:  # what the protocol sets in the recipe's place is not the recipe's
        search["space"] = {f"recipe.{key}": text for key, text in own.items() if key not in values["protocol"]}
    values["hparams_search"] = search


def loggers_of(value: Any) -> list[str]:
    """Return the loggers that `logger=` names, without `none`."""
    chosen = [str(name) for name in (value if isinstance(value, list) else [value]) if name is not None]
    if unknown := sorted(set(chosen) - {*loggers.names(), "none"}):
        raise UserError(f"logger={','.join(unknown)}: there are {', '.join(loggers.names())} and none.", code=2)
    return sorted(set(chosen) - {"none"})


def every(value: Any) -> dict[str, float]:
    """Return how often `checkpoint.every=` means: {"steps": 100}, {"seconds": 600.0}, or nothing for never."""
    if value is None:
        return {}
    if match := re.fullmatch(r"(\d+(?:\.\d+)?) ?(s|min|h)", str(value)):
        return {"seconds": float(match[1]) * {"s": 1, "min": 60, "h": 3600}[match[2]]}
    if re.fullmatch(r"[1-9]\d*", str(value)):
        return {"steps": int(value)}
    raise UserError(f"checkpoint.every={value}: give a number of steps (100), a time (30s, 10min, 1h) or null.", code=2)
