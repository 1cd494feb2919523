"""Words of the command line that are no `key=value` and plainly mean one, such as `--recipe tfidf`."""

import difflib
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import fields

from hydra._internal.utils import get_args_parser

from harness import config
from harness.base.errors import UserError, nearest

OTHER = re.compile(r"(?:-*|\+)([A-Za-z][\w.@/,-]*)(?:[=:](.*))?", re.DOTALL)  # what people write a key and its value as


def check(words: Sequence[str]) -> None:
    """Raise UserError where a word is neither `key=value` nor an option of Hydra's: it says what was probably meant."""
    if not (wrong := list(others(words))):
        return
    known, mended = keys([*words, *(f"{name}={value}" for *_, name, value in wrong)]), list(words)
    said: list[str] = []
    for start, end, name, value in reversed(wrong):
        if meant := word(name, value, known, cut=words[start].startswith("-")):
            said.insert(0, " ".join(words[start:end]))
            mended[start:end] = [meant]
        elif not re.match(r"-[^-]", words[start]):  # `-cjob` is Hydra's
            option = difflib.get_close_matches(f"--{name}", Hydra().flags, 1, cutoff=0.8)
            near = f" Did you mean '{option[0]}'?" if option else nearest(name, known)
            raise UserError(f"{words[start]}: neither KEY=VALUE nor an option.{near}\n"
                            "`python train.py --help` lists the groups and keys.", code=2)  # fmt: skip
    if said:
        raise UserError(f"{', '.join(said)}: a key and its value are one word, KEY=VALUE, without dashes.\n"
                        f"Meant is probably: python train.py {shlex.join(mended)}", code=2)  # fmt: skip


class Hydra:
    """The options of Hydra's own: their names, and which take a value."""

    def __init__(self) -> None:
        actions = [action for action in get_args_parser()._actions if action.option_strings]
        self.flags = {flag: action.nargs != 0 for action in actions for flag in action.option_strings}

    def takes(self, word: str) -> int:
        """Return how many words an option is with its value; 0 where the word is none. It may be cut short."""
        flag, equals, _ = word.partition("=")
        long = [known for known in self.flags if flag.startswith("--") and known.startswith(flag) and len(flag) > 2]
        names = [flag] if flag in self.flags else long[:1]
        return 1 + (self.flags[names[0]] and not equals) if names else 0


def others(words: Sequence[str]) -> Iterator[tuple[int, int, str, str]]:
    """Yield what is no word of Hydra's: from which word to which it goes, the name, and the value that follows."""
    hydra, number = Hydra(), 0
    while number < len(words):
        start, number = number, number + 1
        if taken := hydra.takes(words[start]):
            number = start + taken
            continue
        key, equals, value = words[start].partition("=")
        follows = words[number] if number < len(words) else "-"
        if equals and key[:1] not in ("-", "") and (value or follows.startswith("-") or "=" in follows):
            continue
        if not (match := OTHER.fullmatch(words[start])):
            if not equals and not key.startswith("~"):
                yield start, number, words[start], ""
            continue  # what is no name of a key is told by Hydra
        if not match[2] and follows in ("=", ":"):
            number, follows = number + 1, words[number + 1] if number + 1 < len(words) else "-"
        separate = not match[2] and not follows.startswith("-") and "=" not in follows
        number += separate
        yield start, number, match[1], follows if separate else match[2] or ""


def keys(words: Sequence[str]) -> list[str]:
    """Return the groups and all keys with a value there are, with what the words choose."""
    groups = sorted(path.name for path in config.CONF.iterdir() if path.is_dir() and path.name != "hydra")
    found = config.keys(list(words))
    sections = {key.rpartition(".")[0] for key in found}
    return list(dict.fromkeys([*groups, *(key for key in found if key not in sections)]))


def word(name: str, value: str, known: Sequence[str], cut: bool) -> str | None:
    """Return the word that was meant by a name and a value; None where none is like it.

    The name of an option may be `cut` short, and is written with dashes inside.
    """
    name = name.replace("-", "_").lower()
    ends = {key.rpartition(".")[2]: key for key in reversed(known)}
    begun = [key for key in ends if cut and key.startswith(name)]
    section, dot, _ = name.partition(".")  # of another choice, perhaps: that is told when it is written right
    whole = name in known or (dot and any(key.partition(".")[0] == section for key in known))
    key = name if whole else ends.get(name) or (ends[begun[0]] if len(begun) == 1 else None)
    if key is None and not value:
        group = next((group for group in known if {*name.split(",")} <= {*config.choices(group)}), None)
        return f"{group}={name}" if group else None
    if key is None:
        return None
    flags = {field.name for field in fields(config.Settings) if field.type is bool} | {"sweep.fail_fast"}
    return f"{key}={value or ('true' if key in flags else 'VALUE')}"
