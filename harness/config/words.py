"""The words of the command line: how people type them, and Hydra's errors about them in words for people."""

import difflib
import re
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, MissingConfigException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from harness.base.errors import UserError
from harness.config import allowed
from harness.config.choices import CONF, choices, source

OPEN = ("hydra.", "model.shape.", "hparams_search.space.")  # what is below has names that no file of conf/ lists


def quoted(word: str, sweep: bool) -> str:
    """Return a word of the command line as Hydra can read it.

    Hydra's grammar takes accents, spaces and brackets in a value within quotes only; people type
    `data.label=catégorie` and `data.train=offres (1).csv`.
    """
    key, equals, value = word.partition("=")
    if not equals or word.startswith("-") or _parses(word):
        return word
    inside = value[1:-1] if value.startswith("[") and value.endswith("]") else None
    elements = (value if inside is None else inside).split(",") if sweep or inside is not None else [value]
    text = ",".join("'" + element.strip().replace("'", "\\'") + "'" for element in elements)
    again = f"{key}={text}" if inside is None else f"{key}=[{text}]"
    return again if _parses(again) else word


def ranges(words: list[str], sweep: bool) -> dict[str, str]:
    """Return the keys and ranges among the words of a search's command line.

    Of a sweep's words, lists are its runs, and intervals, which cannot be listed, are ranges.
    """
    found = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or word.startswith("-"):
            continue
        if _parses(word):
            override = OverridesParser.create().parse_override(word)
            is_range = override.is_interval_sweep() or (override.is_sweep_override() and not sweep)
        else:
            is_range = re.match(r"(interval|tag|range|choice|int)\(", value) is not None  # one with a mistake in it
        if is_range:
            found[key] = value
    return found


def _parses(word: str) -> bool:
    try:
        OverridesParser.create().parse_override(word)
    except HydraException:
        return False
    return True


def explain(error: HydraException | OmegaConfBaseException, words: list[str]) -> str:
    """Say what is wrong with the command line `words`, and which name was probably meant."""
    text = str(error)
    if isinstance(error, MissingConfigException) and (missing := error.missing_cfg_file):
        group, _, name = missing.rpartition("/")
        known = choices(group)
        return f"there is no {group} named '{name}'.{_nearest(name, known)}\nThere are: {', '.join(known)}."
    if match := re.search(r"Could not override '([^']+)'", text):
        return unknown(match[1], words)
    if match := re.search(r"Key '([^']+)' (?:is not in struct|not in '\w+')[\s\S]*full_key: (\S+)", text):
        return unknown(match[2], words)
    if match := re.search(r"Ambiguous value for argument '(([^=]+)=(.*))'", text):
        word, key, value = match.groups()
        point = (
            f" A number has a decimal point: {key}={value.replace(',', '.')}."
            if allowed.DECIMAL_COMMA.fullmatch(value)
            else ""
        )
        return f"{word}: these are several values. A list is {key}=[{value}]; a run with each is -m {word}.{point}"
    if (match := re.match(r"Error merging override \+*(([^=]+)=.*)", text)) and (rule := allowed.OTHERS.get(match[2])):
        return f"{match[1]}: give {rule}."  # where OmegaConf's types refuse it before the rule is asked
    if match := re.match(
        r"Error merging override \+*(([^=]+)=.*)\nInvalid value '.*', expected one of \[(.*)\]",
        f"{text}\n{error.__cause__}",
    ):
        return f"{match[1]}: give one of {match[3]}."
    if error.__cause__:
        text += f"\n{error.__cause__}"
    lines = [
        line.strip()
        for line in text.splitlines()
        if not re.match(r"\s*(See https|full_key:|object_type=|reference_type=|$)", line)
    ]
    return "\n".join(lines)


def unknown(key: str, words: list[str]) -> str:
    """Say that the configuration of `words` has no such key: which choice has it, or which one was probably meant."""
    group, _, name = key.partition(".")
    owners = [choice for choice in choices(group) if re.search(rf"^{name}:", source(group, choice), re.MULTILINE)]
    if name and owners:
        return f"{key} belongs to {' or '.join(f'{group}={choice}' for choice in owners)}: add that."
    groups = sorted(path.name for path in CONF.iterdir() if path.is_dir() and path.name != "hydra")
    return f"there is no key '{key}'.{_nearest(key, groups + keys(words))}\n" + (
        "`python train.py --help` lists the groups, `python train.py --cfg job` all keys."
    )


def check_signed(words: list[str]) -> None:
    """Refuse keys that Hydra's `+` adds and nobody reads, and those that its `~` takes away and somebody does."""
    for word in words:
        if not (match := re.match(r"(\+\+?|~)([^=]+)", word)):
            continue
        sign, key = match.groups()
        if re.search("[/@]", key) or (CONF / key).is_dir() or key.startswith(OPEN):
            continue  # a choice of a group, or a key of one's own
        if sign == "~":
            raise UserError(f"{word}: a key cannot be taken away; give it another value: {key}=VALUE.", code=2)
        if key not in keys(words):
            raise UserError(unknown(key, words), code=2)


def _nearest(name: str, known: list[str]) -> str:
    """Say which of the known names is nearest, if one is near; keys are compared whole and by their last part."""
    if not (near := difflib.get_close_matches(name, known, 1)):
        ends = {key.rpartition(".")[2]: key for key in known}
        near = [ends[end] for end in difflib.get_close_matches(name.rpartition(".")[2], list(ends), 1)]
    return f" Did you mean '{near[0]}'?" if near else ""


def keys(words: list[str]) -> list[str]:
    """Return all keys of the configurations that the group choices among `words` compose, those of a sweep's too."""
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    at_work = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    chosen = {}
    for word in words:
        group, _, names = word.partition("=")
        if found := [f"{group}={name}" for name in names.split(",") if (CONF / group / f"{name}.yaml").is_file()]:
            chosen[group] = found
    known: dict[str, None] = {}
    with initialize_config_dir(str(CONF), version_base="1.3"):
        for turn in range(max(map(len, chosen.values()), default=1)):
            composed = compose("config", [several[min(turn, len(several) - 1)] for several in chosen.values()])
            known |= dict.fromkeys(_flat(OmegaConf.to_container(composed), ""))
    GlobalHydra.instance().hydra = at_work
    return list(known)


def _flat(values: Any, prefix: str) -> list[str]:
    if not isinstance(values, dict):
        return []
    found = []
    for key, value in values.items():
        found += [f"{prefix}{key}", *_flat(value, f"{prefix}{key}.")]
    return found
