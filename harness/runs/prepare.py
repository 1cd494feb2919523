"""What a run starts from, and what it therefore is: placement, precision, data, weights, tokens, code."""

import functools
from dataclasses import asdict, dataclass
from pathlib import Path

from harness.base import environments
from harness.base.errors import UserError
from harness.base.home import sha256
from harness.config import Resolved, Settings, choices, resolve, ways
from harness.config.choices import takes_pictures
from harness.config.settings import Data, Model
from harness.inputs import data, models
from harness.machine.host import Machine
from harness.machine.placement import Placement
from harness.runs import code
from harness.runs.identity import Identity

SCHEMA = 2  # of a row, and of what a run is


@dataclass(frozen=True)
class Prepared:
    """A run that could start: what was asked for, what that means here, and what it starts from.

    `identity` follows from that, and decides its directory.
    """

    settings: Settings
    resolved: Resolved
    dataset: data.Dataset
    model: models.Model | None
    tokens: data.Tokens | None
    identity: Identity

    @property
    def placed(self) -> Placement:
        return self.resolved.placed

    @property
    def directory(self) -> Path:
        """Where the run is, or will be."""
        return self.identity.directory(self.settings.results)

    def folders(self, split: str) -> tuple[Path, Path | None]:
        """Return where the rows of a split lie, and their tokens; of texts that are tagged, windows are the rows."""
        tokens = self.tokens.folder / split if self.tokens else None
        return (tokens if tokens and self.dataset.task == "tagging" else self.dataset.folder / split), tokens


def prepare(settings: Settings, elsewhere: bool = False) -> Prepared:
    """Settle placement and precision, find weights and data, tokenise, and say what the run is.

    Done `elsewhere`, on another machine, it has an environment that cannot be looked at from here.
    """
    resolved = resolve(settings, Machine.here())
    if not elsewhere:
        environments.check(resolved.managed, settings.env)
    check_input(settings)
    dataset, model, tokens = found(settings.data, settings.task, settings.model if settings.recipe.pretrained else None)
    return Prepared(settings, resolved, dataset, model, tokens, identity(settings, resolved, dataset, model, tokens))


def check_input(settings: Settings) -> None:
    """Refuse data that the recipe does not take, and files that are not there, which its values name."""
    recipe, data = settings.recipe, settings.data
    if data.input == "images" and recipe.input != "images":
        others = [f"recipe={name}" for name in choices("recipe") if takes_pictures(name)]
        raise UserError(
            f"data={data.name} is of pictures, and recipe={recipe.name} takes texts; {' or '.join(others)}.", code=2
        )
    for key, path in recipe.chosen_files.items():
        if not path.is_file():
            given = ", or ".join(["one", *recipe.files[key]])
            raise UserError(f"recipe.{key}={path}: there is no such file. Give {given}.", code=2)


@functools.cache
def found(
    chosen: Data, task: str, wanted: Model | None
) -> tuple[data.Dataset, models.Model | None, data.Tokens | None]:
    """Return the data and the model that are chosen; made and checked once for all runs of a sweep."""
    dataset = data.prepare(chosen.values, task)
    if not wanted:
        return dataset, None, None
    model = models.find(wanted)
    length = chosen.max_length or model.longest
    if length > model.longest:
        raise UserError(
            f"data.max_length={length}: model={model.name} takes at most {model.longest} tokens a text. "
            f"Give data.max_length={model.longest}, or fewer.",
            code=2,
        )
    return dataset, model, data.tokenise(dataset, model.tokenizer, length)


def identity(
    settings: Settings,
    resolved: Resolved,
    dataset: data.Dataset,
    model: models.Model | None,
    tokens: data.Tokens | None,
) -> Identity:
    """Return what a run is.

    Weights, data and code count by their content: a file that moved is the same run, one whose bytes changed is
    another. The code is that of recipes/ which this run executes: an edit of another recipe changes nothing.
    """
    chosen = {"pooling": settings.model.pooling, "dropout": settings.model.dropout}
    train = {key: value for key, value in asdict(settings.train).items() if (key, value) != ("accumulate", 1)}
    of_train = (tokens.report if tokens else dataset.report)["splits"]["train"]
    rows = of_train.get("windows") or dataset.report["splits"]["train"]["rows"]
    each = settings.train.batch_size * settings.train.accumulate
    steps = settings.train.epochs * -(-rows // (each * resolved.placed.processes))
    how = ways.chosen(settings, resolved.placed, steps) if settings.recipe.by_epochs else {}
    return Identity(
        schema=SCHEMA,
        recipe=settings.recipe.identity | {key: sha256(path) for key, path in settings.recipe.chosen_files.items()},
        data={"name": settings.data.name, "digest": dataset.digest},
        model={"name": model.name, "digest": model.digest, "config": model.config, **chosen} if model else None,
        protocol={**settings.protocol.values},
        precision=resolved.precision if settings.recipe.by_epochs else None,
        seed=settings.seed,
        threads=settings.threads,
        env=resolved.environment,
        code=code.digest(settings.recipe.name, settings.protocol.name),
        placement=resolved.placed.identity(),
        evaluate=None if "test" in settings.evaluate else settings.evaluate,
        tokens=tokens.folder.name if tokens else None,
        train=train if settings.recipe.by_epochs else None,
        task=None if dataset.task == "classification" else dataset.task,
        **{key: word for key, word in how.items() if word not in ("none", "padded")},
    )
