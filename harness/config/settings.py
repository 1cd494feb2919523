"""What a run is asked to do: frozen, made once from what Hydra composed (harness/config/checks.py), changed by nobody.

What a value may be stands beside it: in its type, and in words that are the rule and its message (allowed.py). Hydra
holds what is typed to the same classes (types.py). The groups of conf/ are open, their files say what they hold: here
stands of them what the harness reads, and `values` has all there is.
"""

from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields, is_dataclass
from enum import Enum
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar, get_args, get_type_hints

from harness.base.errors import UserError
from recipes.contract.job import Every

SEED = "a whole number from 0 to 4294967295"
COUNT = "a whole number above 0"
ROWS = f"{COUNT}, or a number above 0 below 1, or null"
TRUTH = "true or false"
CAPABILITIES = {  # of conf/recipe/: what a recipe can, not what a run is
    "places", "places_of", "elsewhere", "one_process", "slow_bf16", "no_bf16",
    "one_device_only", "one_device_only_of", "input", "epochs", "files", "ways", "ways_of", "fp16",
    "compiler",
}  # fmt: skip
EVALUATED = ("valid", "test")


class Precision(Enum):
    auto = "auto"
    fp32 = "fp32"
    bf16 = "bf16"
    fp16 = "fp16"
    tf32 = "tf32"


class Compile(Enum):
    auto = "auto"
    none = "none"
    model = "model"
    step = "step"
    steps = "steps"


class Batches(Enum):
    auto = "auto"
    padded = "padded"
    packed = "packed"


class OnOom(Enum):
    fail = "fail"
    halve_batch = "halve_batch"


class Sampler(Enum):
    tpe = "tpe"
    random = "random"


def rule(allowed: str | None = None, composed: Any = None) -> dict[str, Any]:
    """Return what stands beside a value: what it may be, and, where Hydra composes another, the type of that."""
    return {"allowed": allowed, "composed": composed}


@dataclass(frozen=True)
class Choice:
    """What is chosen of a group of conf/. `values`: the whole section, read-only."""

    name: str
    values: Mapping[str, Any] = field(hash=False, repr=False)


@dataclass(frozen=True)
class Recipe(Choice):
    """recipe=NAME; its own values (learning_rate, …) are among `values`, and are handed to it as they are."""

    environment: str
    libraries: tuple[str, ...]  # whose versions go into the result
    pretrained: bool = field(metadata=rule(TRUTH))  # it takes the encoder of the model group, and token ids
    backend: str | None = None
    input: str = field(metadata=rule("one of texts, images"), default="texts")  # images: of texts it draws them itself
    epochs: bool = field(metadata=rule(TRUTH), default=False)  # without an encoder it takes train= and precision= too
    files: Mapping[str, Any] = field(default_factory=dict, hash=False)  # keys that may name a file -> other words
    places: tuple[str, ...] = ("cpu",)  # what placement= may be
    elsewhere: str | None = None  # why no others
    one_process: bool = field(metadata=rule(TRUTH), default=False)  # it drives several devices itself
    slow_bf16: tuple[str, ...] = ()  # frameworks whose bf16 is slower than fp32 on processors
    ways: Mapping[str, Mapping[str, Mapping[str, int | None]]] = field(default_factory=dict, hash=False)  # see ways.py
    compiler: tuple[str, ...] = ()  # words of compile= that call a C++ compiler
    fp16: tuple[str, ...] = ()  # devices on which it has a scaled loss, for mixed precision with fp16
    no_bf16: str | None = None  # why it cannot compute in bf16, where it cannot
    one_device_only: Mapping[str, str] = field(default_factory=dict, hash=False)  # what it cannot, and why

    @property
    def framework(self) -> str:
        """What it computes by: its backend, where it has several, or itself."""
        return self.backend or self.name

    @property
    def by_epochs(self) -> bool:
        """Tell whether train= and precision= apply."""
        return self.pretrained or self.epochs

    @property
    def chosen_files(self) -> dict[str, Path]:
        """The files that its values name, by key."""
        chosen = {key: str(self.values[key]) for key, words in self.files.items() if self.values[key] is not None}
        return {
            key: Path(value).expanduser().absolute() for key, value in chosen.items() if value not in self.files[key]
        }

    @property
    def identity(self) -> dict[str, Any]:
        """What makes another run of another recipe; files count by their content, which is for others to read."""
        return {key: value for key, value in self.values.items() if key not in CAPABILITIES}


@dataclass(frozen=True)
class Data(Choice):
    """data=NAME; what its kind reads (harness/inputs/data/kinds) is among `values`."""

    kind: str
    input: str = field(metadata=rule("one of texts, images"), default="texts", kw_only=True)  # what its rows are
    train_size: int | float | None = field(metadata=rule(ROWS))
    valid_size: int | float | None = field(metadata=rule(ROWS))
    test_size: int | float | None = field(metadata=rule(ROWS))
    split_seed: int = field(metadata=rule("a whole number from 0 on"))
    max_length: int | None = field(metadata=rule(f"{COUNT}, or null"))  # in tokens; None: as long as the model takes


@dataclass(frozen=True)
class Model(Choice):
    """model=NAME: where the encoder is looked for, and how it is used."""

    path: str | None
    hub: str | None
    revision: str | None
    package: str | None
    package_folder: str | None
    sha256: str | None
    pooling: str = field(metadata=rule("one of mean, cls"))
    dropout: float | None = field(metadata=rule("a number from 0 below 1, or null"))
    from_scratch: int | None = field(metadata=rule(f"{SEED}, or seed, or null"))  # `seed` has become the run's own
    shape: Mapping[str, int] | None = field(hash=False)
    package_4bit: str | None = None


@dataclass(frozen=True)
class Protocol(Choice):
    """protocol=NAME: its other values go to the recipe in place of the recipe's own."""

    @property
    def settings(self) -> dict[str, Any]:
        return {key: value for key, value in self.values.items() if key != "name"}


@dataclass(frozen=True)
class Placement(Choice):
    """placement=NAME: the values, by accelerate's names, that stand over its file in configs/accelerate/."""

    processes: int | None = field(metadata=rule(f"{COUNT}, or null"), default=None)
    num_machines: int = field(metadata=rule(COUNT), default=1)
    machine_rank: int = field(metadata=rule("a whole number from 0 on"), default=0)
    main_process_port: int | None = field(metadata=rule("a whole number from 1 to 65535"), default=None)
    use_cpu: bool | None = field(metadata=rule(TRUTH), default=None)

    @property
    def accelerate(self) -> dict[str, Any]:
        return {key: value for key, value in self.values.items() if key not in ("name", "processes")}


@dataclass(frozen=True)
class Train:
    """What all recipes with epochs share."""

    epochs: int = field(metadata=rule(COUNT))
    batch_size: int = field(metadata=rule(COUNT))
    accumulate: int = field(metadata=rule(COUNT))


@dataclass(frozen=True)
class Checkpoint:
    """As it is typed: a number of steps, a time, or null."""

    every: Any


@dataclass(frozen=True)
class Limits:
    """Where a run is ended that takes more."""

    minutes: float | None = field(metadata=rule("a number above 0, or null"))
    memory_gb: float | None = field(metadata=rule("a number above 0, or null"))


@dataclass(frozen=True)
class Measure:
    """How long things take: see conf/config.yaml."""

    batch_sizes: tuple[int, ...] = field(metadata=rule("whole numbers above 0", list[int]))
    calls: int = field(metadata=rule(COUNT))
    seconds: float = field(metadata=rule("a number from 0 on"))
    at_most: float = field(metadata=rule("a number from 0 on, or inf"))
    target: float | None = field(metadata=rule("a number above 0 up to 1, or null"))
    noisy: bool = field(metadata=rule(TRUTH))


@dataclass(frozen=True)
class Sweep:
    fail_fast: bool = field(metadata=rule(TRUTH))


@dataclass(frozen=True)
class Search:
    """hparams_search=NAME. `space`: keys and their ranges, in Hydra's words; None: those of the recipe's file."""

    name: str
    sampler: Sampler
    seed: int = field(metadata=rule(SEED))
    trials: int = field(metadata=rule(COUNT))
    metric: str | None  # None: the primary figure of the task, on valid
    space: dict[str, str] | None = field(default=None, hash=False)
    prune: bool = field(metadata=rule(TRUTH), default=False)


@dataclass(frozen=True)
class Settings:
    """All keys there are, but Hydra's own; conf/config.yaml says what each is for."""

    recipe: Recipe = field(metadata=rule(composed=Any))
    data: Data = field(metadata=rule(composed=Any))
    model: Model = field(metadata=rule(composed=Any))
    protocol: Protocol = field(metadata=rule(composed=Any))
    placement: Placement = field(metadata=rule(composed=Any))
    task: str = field(metadata=rule(composed=str | None))  # `null` has become what the data says; see tasks.py
    seed: int = field(metadata=rule(SEED))
    precision: Precision
    compile: Compile
    batches: Batches
    train: Train
    env: str
    threads: int | None = field(metadata=rule(f"{COUNT}, or null"))
    rerun: bool = field(metadata=rule(TRUTH))
    plan: bool = field(metadata=rule(TRUTH))
    outputs: str
    evaluate: tuple[str, ...] = field(metadata=rule(composed=list[str]))
    logger: tuple[str, ...] = field(metadata=rule(composed=Any))
    checkpoint: Every = field(metadata=rule(composed=Checkpoint))
    retries: int = field(metadata=rule("a whole number from 0 to 10"))
    on_oom: OnOom
    limits: Limits
    measure: Measure
    sweep: Sweep
    about: Any = field(default=None, hash=False)  # of an experiment: what it reproduces, for people and for compare
    hparams_search: Search | None = field(metadata=rule(composed=dict), default=None)

    @property
    def results(self) -> Path:
        """The folder that results go to."""
        return Path(self.outputs).expanduser().absolute()


Section = TypeVar("Section")


def made(kind: type[Section], values: Mapping[str, Any], name: str = "") -> Section:
    """Return a section of a kind from its plain values; `name` is what people call it."""
    hints, found = get_type_hints(kind), dict[str, Any]()
    for one in fields(kind):  # type: ignore[arg-type]
        hint = hints[one.name]
        if one.name == "values":
            found["values"] = MappingProxyType({**values})
        elif one.name in values:
            found[one.name] = typed(hint, values[one.name], f"{name}{one.name}")
        elif one.default is MISSING and one.default_factory is MISSING:
            raise UserError(f"{name}{one.name} is needed, and no file of conf/ gives it.", code=2)
    return kind(**found)


def typed(kind: Any, given: Any, name: str) -> Any:
    """Return a plain value as what its key has: a section, a member of an enumeration, a tuple for a list."""
    if isinstance(given, dict) and (section := section_in(kind)):
        return made(section, given, f"{name}.") if given else None
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(given)
    return tuple(given) if isinstance(given, list) else given


def section_in(kind: Any) -> Any:
    """Return the section that a type is, or may be."""
    return next(filter(is_dataclass, (kind, *get_args(kind))), None)


def plain(given: Any) -> Any:
    """Return settings as what JSON and YAML have, under the keys that people give."""
    if isinstance(given, Choice):
        return {**given.values}
    if isinstance(given, Every):
        return {key: number for key, number in asdict(given).items() if number is not None}
    if is_dataclass(given) and not isinstance(given, type):
        return {one.name: plain(getattr(given, one.name)) for one in fields(given)}
    if isinstance(given, Enum):
        return given.value
    return list(given) if isinstance(given, tuple) else given
