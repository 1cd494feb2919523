"""The configuration: the types of its keys, and Hydra's errors in words for people."""

import difflib
import math
import re
import warnings
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

import yaml
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, MissingConfigException
from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from harness import loggers
from harness.errors import UserError
from harness.home import ROOT

CONF = ROOT / "conf"
POOLING = ("mean", "cls")
EVALUATED = ("valid", "test")
TEXTS = {
    "name", "train", "valid", "test", "label", "encoding", "path", "level", "id", "config_name", "revision",
    "main_process_ip",
}  # fmt: skip


class Precision(Enum):
    auto = "auto"
    fp32 = "fp32"
    bf16 = "bf16"
    tf32 = "tf32"


class OnOom(Enum):
    fail = "fail"
    halve_batch = "halve_batch"


class Sampler(Enum):
    tpe = "tpe"
    random = "random"


@dataclass
class Train:
    epochs: int = MISSING
    batch_size: int = MISSING
    accumulate: int = 1


@dataclass
class Checkpoint:
    every: Any = None


@dataclass
class Limits:
    minutes: float | None = None
    memory_gb: float | None = None


@dataclass
class Measure:
    batch_sizes: list[int] = field(default_factory=lambda: [1, 8, 32, 128])
    calls: int = 100
    seconds: float = 5.0
    at_most: float = 30.0
    target: float | None = None
    noisy: bool = False


@dataclass
class Sweep:
    fail_fast: bool = False


@dataclass
class HparamsSearch:
    name: str = MISSING
    sampler: Sampler = MISSING
    seed: int = MISSING
    trials: int = MISSING
    metric: str = MISSING
    space: dict[str, str] | None = None
    prune: bool = False


@dataclass
class Config:
    """The top level of conf/config.yaml; the groups are open, their files say what they hold."""

    recipe: Any = MISSING
    data: Any = MISSING
    model: Any = MISSING
    protocol: Any = MISSING
    placement: Any = MISSING
    seed: int = 0
    precision: Precision = Precision.auto
    train: Train = field(default_factory=Train)
    env: str = "managed"
    threads: int | None = None
    rerun: bool = False
    plan: bool = False
    outputs: str = "outputs"
    evaluate: list[str] = field(default_factory=lambda: list(EVALUATED))
    logger: Any = "none"
    checkpoint: Checkpoint = field(default_factory=Checkpoint)
    retries: int = 1
    on_oom: OnOom = OnOom.fail
    limits: Limits = field(default_factory=Limits)
    measure: Measure = field(default_factory=Measure)
    sweep: Sweep = field(default_factory=Sweep)
    about: Any = None  # of an experiment: what it reproduces, for people and for compare
    hparams_search: Any = field(default_factory=dict)  # HparamsSearch, where one is chosen


ConfigStore.instance().store("base", Config)
# conf/hydra/launcher/ has our defaults of a plugin's choices; that the plugin's own types hold for them is wanted
warnings.filterwarnings("ignore", r"\s*'hydra/launcher/\w+' is validated against ConfigStore schema")


def plain(config: DictConfig) -> dict[str, Any]:
    """Return the configuration as plain values, checked: nothing missing, all numbers in their range."""
    try:
        values: dict[str, Any] = OmegaConf.to_container(config, resolve=True, throw_on_missing=True, enum_to_str=True)  # type: ignore[assignment]
    except MissingMandatoryValue as error:
        key = error.full_key
        raise UserError(f"{key} is needed: give it as {key}=VALUE.", code=2) from None
    except OmegaConfBaseException as error:
        raise UserError(str(error).splitlines()[0], code=2) from None
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


def choices(group: str) -> list[str]:
    """Return the names one can choose in a group of conf/."""
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


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


def recipes_environments(name: str) -> list[str]:
    """Return the environments of a recipe, that of each of its variants."""
    text = source("recipe", name)
    words = yaml.safe_load(text).get("variants", [])
    files = [OmegaConf.merge(OmegaConf.create({"recipe": OmegaConf.create(text)}), OmegaConf.from_dotlist(chosen))
             for chosen in ([], *([word] for word in words))]  # fmt: skip
    return [OmegaConf.select(file, "recipe.environment") for file in files]


def explain(error: HydraException | OmegaConfBaseException, words: list[str]) -> str:
    """Say what is wrong with the command line `words`, and which name was probably meant."""
    text = str(error)
    groups = sorted(path.name for path in CONF.iterdir() if path.is_dir() and path.name != "hydra")
    if isinstance(error, MissingConfigException) and (missing := error.missing_cfg_file):
        group, _, name = missing.rpartition("/")
        known = choices(group)
        return f"there is no {group} named '{name}'.{_nearest(name, known)}\nThere are: {', '.join(known)}."
    if match := re.search(r"Could not override '([^']+)'", text):
        group, _, key = match[1].partition(".")
        owners = [name for name in choices(group) if re.search(rf"^{key}:", source(group, name), re.MULTILINE)]
        if key and owners:
            return f"{match[1]} belongs to {' or '.join(f'{group}={name}' for name in owners)}: add that."
        return f"there is no key '{match[1]}'.{_nearest(match[1], groups + _keys(words))}\n" + (
            "`python train.py --help` lists the groups, `python train.py --cfg job` all keys."
        )
    if match := re.search(r"Key '([^']+)' (?:is not in struct|not in '\w+')[\s\S]*full_key: (\S+)", text):
        return f"there is no key '{match[2]}'.{_nearest(match[2], groups + _keys(words))}"
    if error.__cause__:
        text += f"\n{error.__cause__}"
    lines = [
        line.strip()
        for line in text.splitlines()
        if not re.match(r"\s*(See https|full_key:|object_type=|reference_type=|$)", line)
    ]
    return "\n".join(lines)


def _nearest(name: str, known: list[str]) -> str:
    """Say which of the known names is nearest, if one is near; keys are compared whole and by their last part."""
    if not (near := difflib.get_close_matches(name, known, 1)):
        ends = {key.rpartition(".")[2]: key for key in known}
        near = [ends[end] for end in difflib.get_close_matches(name.rpartition(".")[2], list(ends), 1)]
    return f" Did you mean '{near[0]}'?" if near else ""


def _keys(words: list[str]) -> list[str]:
    """Return all keys of the configuration that the group choices among `words` compose."""
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    at_work = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    chosen = []
    for word in words:
        group, _, name = word.partition("=")
        if Path(CONF / group / f"{name}.yaml").is_file():
            chosen.append(word)
    with initialize_config_dir(str(CONF), version_base="1.3"):
        keys = list(_flat(OmegaConf.to_container(compose("config", chosen)), ""))
    GlobalHydra.instance().hydra = at_work
    return keys


def _flat(values: Any, prefix: str) -> list[str]:
    if not isinstance(values, dict):
        return []
    keys = []
    for key, value in values.items():
        keys += [f"{prefix}{key}", *_flat(value, f"{prefix}{key}.")]
    return keys
