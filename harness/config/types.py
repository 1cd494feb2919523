"""The types of the keys at the top of the configuration, which Hydra and OmegaConf hold their values to."""

import warnings
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING

EVALUATED = ("valid", "test")


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
