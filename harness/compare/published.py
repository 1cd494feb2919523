"""What an experiment reproduces, and the figures that were published for it: `scripts/compare.py experiment=NAME`."""

from collections.abc import Sequence

import yaml

from harness.home import ROOT

EXPERIMENTS = ROOT / "conf" / "experiment"


def lines(words: Sequence[str]) -> list[str]:
    """Return in words what stands under `about` in the files of the experiments among `words`."""
    said = []
    for name in [name for word in words if word.startswith("experiment=") for name in word[11:].split(",")]:
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
