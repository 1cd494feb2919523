"""The configuration: settings and what they mean here, what there is to choose from, the words of the command line."""

from harness.config.checks import checked, every
from harness.config.choices import CONF, choices, recipes_environments, source, variants
from harness.config.resolve import Resolved, resolve
from harness.config.settings import Settings, plain
from harness.config.words import check_signed, explain, keys, quoted, ranges

__all__ = [
    "CONF", "Resolved", "Settings", "check_signed", "checked", "choices", "every", "explain", "keys", "plain", "quoted",
    "ranges", "recipes_environments", "resolve", "source", "variants",
]  # fmt: skip
