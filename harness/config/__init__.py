"""The configuration: its types, what there is to choose from, the words of the command line, and the checks."""

from harness.config.checks import every, plain
from harness.config.choices import CONF, choices, recipes_environments, source, variants
from harness.config.types import Config
from harness.config.words import check_signed, explain, keys, quoted, ranges

__all__ = [
    "CONF", "Config", "check_signed", "choices", "every", "explain", "keys", "plain", "quoted", "ranges",
    "recipes_environments", "source", "variants",
]  # fmt: skip
