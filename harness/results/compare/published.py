"""What an experiment reproduces, and the figures that were published for it: `scripts/compare.py experiment=NAME`."""

from collections.abc import Iterator, Sequence

import yaml

from harness.base.errors import UserError, nearest
from harness.base.home import ROOT
from harness.results.reading import Result

EXPERIMENTS = ROOT / "conf" / "experiment"


def named(words: Sequence[str]) -> Iterator[str]:
    """Yield the names of the experiments among `words`, as in `experiment=onet,emscad`."""
    for word in words:
        key, _, names = word.partition("=")
        if key == "experiment":
            yield from names.split(",")


def missing(words: Sequence[str], everything: Sequence[Result]) -> list[str]:
    """Return the experiments among `words` of which there is no run."""
    there = {one.words.get("experiment", "null") for one in everything}
    return [name for name in named(words) if name not in there]


def check(words: Sequence[str], everything: Sequence[Result], where: str) -> None:
    """Raise UserError for an experiment among `words` of which no run is in `where`: it tells how to make them."""
    for name in missing(words, everything):
        if not (EXPERIMENTS / f"{name}.yaml").is_file():
            known = sorted(path.stem for path in EXPERIMENTS.glob("*.yaml"))
            raise UserError(f"no experiment is '{name}'.{nearest(name, known)} There are: {', '.join(known)}.", code=2)
        raise UserError(
            f"no run in {where} is of experiment={name}. `python train.py -m experiment={name}` makes them; "
            "with plan=true it says which.",
            code=2,
        )


def lines(words: Sequence[str]) -> list[str]:
    """Return in words what stands under `about` in the files of the experiments among `words`."""
    said = []
    for name in named(words):
        path = EXPERIMENTS / f"{name}.yaml"
        if path.is_file():
            about = yaml.safe_load(path.read_text(encoding="utf-8"))["about"]
            said.append(f"experiment={name} reproduces {about['reproduces']}. Source: {about['source']}.")
            said += [
                f"published: {one['system']}, {one['metric']} {one['value']} ({one['source']}; split: {one['split']})"
                for one in about["published"]
            ] or ["published: no figure that one could set beside these"]
            said.append(f"here: {about['differs']}")
    return said
