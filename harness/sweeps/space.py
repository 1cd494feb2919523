"""The space of a search: keys of the configuration and their ranges, in the words that Hydra has for sweeps.

interval(low, high) and int(interval(low, high)); range(start, stop, step), without stop; choice(a, b, c), or a,b,c; and
tag(log, …) round an interval. https://hydra.cc/docs/advanced/override_grammar/extended explains them.
"""

from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep
from hydra.errors import HydraException
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from harness.base.errors import UserError
from harness.config.settings import Settings

SEARCHABLE = ("recipe.", "model.", "train.", "protocol.")  # and these:
OTHERS = ("model", "precision", "data.max_length")
FORMS = "interval(LOW, HIGH), tag(log, interval(LOW, HIGH)), range(START, STOP, STEP) or choice(A, B)"
DIGITS = 4  # of a number that is tried: the command that repeats it is for people


def distribution(key: str, text: str) -> BaseDistribution:
    """Return what Optuna is to draw the values of `key` from."""
    try:
        override = OverridesParser.create().parse_override(f"{key}={text}")
        value: Any = override.value()
        if override.is_interval_sweep():
            return _interval(value)
        if override.is_range_sweep():
            return _steps(value)
        if override.is_choice_sweep():
            return _choice(override)
    except (HydraException, ValueError) as error:  # the second is Optuna's
        raise UserError(f"the space of the search, {key}={text}: {error}", code=2) from None
    raise UserError(f"the space of the search, {key}={text}: a range is needed: {FORMS}.", code=2)


def _interval(value: IntervalSweep) -> BaseDistribution:
    if unknown := value.tags - {"log"}:
        raise ValueError(f"of tags there is log, not {', '.join(sorted(unknown))}.")
    low, high = value.start, value.end
    if not low < high:  # type: ignore[operator]
        raise ValueError("the higher end must be above the lower.")
    if isinstance(low, int) and isinstance(high, int):
        return IntDistribution(low, high, log="log" in value.tags)
    return FloatDistribution(low, high, log="log" in value.tags)  # type: ignore[arg-type]


def _steps(value: RangeSweep) -> BaseDistribution:
    if value.tags:
        raise ValueError("a range has no tags; tag(log, interval(LOW, HIGH)) is one of a logarithm.")
    numbers = sorted(value.range())
    if len(numbers) < 2:
        raise ValueError("there is nothing to choose from: the stop is not among the values.")
    low, high, step = numbers[0], numbers[-1], abs(value.step)
    if all(isinstance(number, int) for number in numbers):
        return IntDistribution(int(low), int(high), step=int(step))
    return FloatDistribution(low, high, step=step)


def _choice(override: Override) -> BaseDistribution:
    """Values are kept as the words that stand for them, so that lists and names go the same way."""
    choices = list(override.sweep_string_iterator())
    if len(set(choices)) < 2:
        raise ValueError("there is nothing to choose from.")
    return CategoricalDistribution(choices)


def check(space: dict[str, BaseDistribution], settings: Settings) -> None:
    """Refuse a key that is no hyperparameter, or that the run takes no notice of."""
    recipe, protocol = settings.recipe, settings.protocol
    if not space:
        raise UserError(
            f"recipe={recipe.name}, protocol={protocol.name}: there is nothing to search. "
            f"Give keys and their ranges: 'KEY=tag(log, interval(LOW, HIGH))'.",
            code=2,
        )
    for key in space:
        group, _, name = key.partition(".")
        if not (key.startswith(SEARCHABLE) or key in OTHERS):
            raise UserError(
                f"{key} is not to be searched: {', '.join(f'{start}KEY' for start in SEARCHABLE)} and "
                f"{', '.join(OTHERS)} are; other keys change what is measured.",
                code=2,
            )
        if group == "recipe" and name in protocol.values:
            raise UserError(f"{key}: protocol={protocol.name} sets that; search protocol.{name}, or leave it.", code=2)
        trained = recipe.by_epochs and group == "train"
        if not recipe.pretrained and not trained and group not in ("recipe", "protocol"):
            raise UserError(f"{key}: recipe={recipe.name} has no encoder and takes no notice of it.", code=2)


def ends(space: dict[str, BaseDistribution]) -> list[dict[str, Any]]:
    """Return a few points of the space that, between them, have the ends of each range and every choice."""
    sides = {key: _ends(found) for key, found in space.items()}
    return [
        {key: side[min(n, len(side) - 1)] for key, side in sides.items()} for n in range(max(map(len, sides.values())))
    ]


def _ends(found: BaseDistribution) -> list[Any]:
    if isinstance(found, CategoricalDistribution):
        return list(found.choices)
    return [found.low, found.high]  # type: ignore[attr-defined]


def rounded(found: BaseDistribution, value: Any) -> Any:
    """Return a value of a continuous range with few digits, within the range."""
    if isinstance(found, FloatDistribution) and found.step is None:
        return min(max(float(f"{value:.{DIGITS}g}"), found.low), found.high)
    return value
