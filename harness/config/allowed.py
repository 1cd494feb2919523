"""What a value of the configuration may be: said once, beside it (settings.py), in words that are rule and message.

A rule is alternatives parted by `, or `. Each is `true or false`, `one of A, B`, a word (`null`), a number (`a number
above 0`, `a whole number from 1 to 10`), some (`2 numbers from 0 below 1`), a list (`whole numbers above 0, in order`)
or `a file`, whose other words name none. A number is finite; `from` and `to` take the end itself, `above` and `below`
do not.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from typing import Any, get_type_hints

from omegaconf import DictConfig, OmegaConf

from harness.base.errors import UserError
from harness.config.settings import Settings, section_in

SETTINGS = {  # of recipe. and protocol.: what several recipes have; a recipe's own stand as `allowed:` in its file
    "freeze_word_embeddings": "true or false",
    "learning_rate": "a number above 0",
    "head_learning_rate": "a number above 0",
    "betas": "2 numbers from 0 below 1",
    "epsilon": "a number above 0",
    "weight_decay": "a number from 0 on",
    "warmup": "a number from 0 to 1",
    "max_grad_norm": "a number above 0",
}


def declared(kind: Any = Settings, prefix: str = "") -> dict[str, str]:
    """Return the rule of each key of the settings that has one: `train.epochs`, …"""
    found, hints = {}, get_type_hints(kind)
    for one in fields(kind):
        if rule := one.metadata.get("allowed"):
            found[prefix + one.name] = rule
        if section := section_in(hints[one.name]):
            found |= declared(section, f"{prefix}{one.name}.")
    return found


OTHERS = declared()
NUMBERS = re.compile(
    r"(?P<many>a |\d+ )?(?P<whole>whole )?numbers?(?: (?P<least>above|from) (?P<low>[\d.-]+)(?: on)?)?"
    r"(?: (?P<most>below|(?:up )?to) (?P<high>[\d.-]+))?(?P<ordered>, in order)?"
)

DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+(e[+-]?\d+)?")


def rules(config: DictConfig) -> dict[str, str]:
    """Return the rule of each key of a configuration that has one."""
    own = config.recipe.get("allowed", {})
    if not isinstance(own, (dict, DictConfig)):
        raise UserError(f"recipe.allowed={own}: it stands in the recipe's file.", code=2)
    found = {f"protocol.{name}": rule for name, rule in SETTINGS.items()}
    found |= {f"recipe.{name}": rule for name, rule in {**SETTINGS, **own}.items()}
    found |= OTHERS
    return {key: rule for key, rule in found.items() if has(config, key)}


def has(config: DictConfig, key: str) -> bool:
    """Tell whether a configuration has a key, whatever its value."""
    group, _, name = key.rpartition(".")
    section = config[group] if group else config
    return isinstance(section, DictConfig) and name in section.keys()  # noqa: SIM118  `in` alone leaves out nulls


def check(config: DictConfig) -> None:
    """Refuse the first value of a configuration that its rule does not allow.

    Each is looked at by itself: what hangs on it, as an environment does on a backend, may not resolve.
    """
    for key, rule in rules(config).items():
        value = OmegaConf.select(config, key, throw_on_missing=True)
        if OmegaConf.is_config(value):
            value = OmegaConf.to_container(value, resolve=True)
        if not allows(rule, value):
            shown = "null" if value is None else str(value).lower() if isinstance(value, bool) else value
            raise UserError(f"{key}={shown}: give {rule}.{hint(value)}", code=2)


def allows(rule: str, value: Any) -> bool:
    """Tell whether a rule allows a value."""
    return any(_allows(part, value) for part in rule.split(", or "))


def _allows(part: str, value: Any) -> bool:
    if part == "true or false":
        return isinstance(value, bool)
    if part == "a file":
        return isinstance(value, str)
    if part.startswith("one of "):
        return isinstance(value, str) and value in part.removeprefix("one of ").split(", ")
    if not (numbers := parsed(part)):
        return value is None if part == "null" else str(value) == part
    if numbers["many"] == "a ":
        return is_number(value, numbers)
    if not isinstance(value, list) or (numbers["many"] and len(value) != int(numbers["many"])):
        return False
    return all(is_number(one, numbers) for one in value) and not (numbers["ordered"] and value != sorted(value))


def files(own: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the keys whose rule has `a file`, each with its other words."""
    parts = {key: rule.split(", or ") for key, rule in own.items()}
    return {key: [part for part in those if part != "a file"] for key, those in parts.items() if "a file" in those}


@cache
def parsed(part: str) -> dict[str, str] | None:
    """Return the parts of an alternative that is about numbers."""
    match = NUMBERS.fullmatch(part)
    return match.groupdict() if match else None


def is_number(value: Any, rule: dict[str, str]) -> bool:
    """Tell whether a value is a number of the kind and in the range of a rule."""
    if isinstance(value, bool) or not isinstance(value, int if rule["whole"] else (int, float)):
        return False
    low, high = float(rule["low"] or -math.inf), float(rule["high"] or math.inf)
    above = value > low if rule["least"] == "above" else value >= low
    below = value < high if rule["most"] == "below" else value <= high
    return above and below and (isinstance(value, int) or math.isfinite(value))


def hint(value: Any) -> str:
    """Say what is wrong with a text that is nearly a number."""
    if not isinstance(value, str):
        return ""
    if DECIMAL_COMMA.fullmatch(value.strip()):
        return f" A decimal point parts a number: {value.replace(',', '.').strip()}."
    with_quotes = re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", value.strip(), re.IGNORECASE)
    return " It is a text: leave out its quotes." if with_quotes else ""
