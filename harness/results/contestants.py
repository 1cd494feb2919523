"""Which results are those of one contestant, and what tells others apart.

Results are seeds of one contestant where all that they are is the same but for the seed: settings, code, versions. Of
several such under one name, the one of the newest results has the name, and the others are left apart: an edited recipe
or an upgraded package is another contestant, and no table pools both by chance. A row of schema 1 does not say what it
is: those of one name are taken for one, of unknown code.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from harness.results.reading import Result
from harness.runs.identity import NOT_COMPARED, PREFIX

Row = Mapping[str, Any]
NO_SETTINGS = {f"{PREFIX}{key}" for key in (*NOT_COMPARED, "threads", "env", "code")}
SHARED = (f"{PREFIX}protocol.", f"{PREFIX}model.", f"{PREFIX}tokens")  # by all in one table, whatever the recipe
MOST = 6  # differences that are told


class Apart(NamedTuple):
    """Results that bear the name of a contestant and are none of its seeds; what they are that those are not.

    `newest` is one of that contestant; None: there is none, they differ from all others.
    """

    name: str
    results: list[Result]
    differences: list[str]
    newest: Result | None = None

    def __str__(self) -> str:
        runs = [one for one in self.results if one.tested]
        counted = [f"{len(runs)} {'run' if len(runs) == 1 else 'runs'}"] if runs else []
        others = [one for one in self.results if not one.tested]
        rest = Counter("without test figures" if one.finished else one.row["status"] for one in others)
        counted += [f"{number} {status}" for status, number in rest.items()]
        told = [*self.differences[:MOST], *([f"{more} more"] if (more := len(self.differences) - MOST) > 0 else [])]
        word = f"identity_digest={digest_of(self.results[0])}"
        both = f", {word},{digest_of(self.newest)} sets both side by side" if self.newest else ""
        return f"{self.name}, {' and '.join(counted)}: {'; '.join(told)}. {word} chooses them{both}."


def contestants(results: Iterable[Result], beside: bool = False) -> tuple[dict[str, list[Result]], list[Apart]]:
    """Return the results of a group by what competes, each in the order of its seeds, and those left apart.

    `beside`: all of them compete, those of other identities under their name and digest.
    """
    found: dict[str, list[Result]] = {}
    apart: list[Apart] = []
    for name, (first, *others) in by_identity(results).items():
        found[name] = first
        for side in others:
            if beside:
                found[f"{name} ({side[0].row.get('identity_digest', 'of unknown code')})"] = side
            else:
                apart.append(Apart(name, side, differences(side[0].row, first[0].row), first[0]))
    if found and not beside:
        newest = max((one for side in found.values() for one in side), key=ended)
        for name, side in list(found.items()):
            if strange := settings(side[0].row, newest.row, shared(side[0].row) & shared(newest.row)):
                apart.append(Apart(name, found.pop(name), strange))
    return found, apart


def by_identity(results: Iterable[Result]) -> dict[str, list[list[Result]]]:
    """Return the results of each name by their identity, those of the newest test figures first.

    A run may fail before its versions are known: it stands with those that it is like as far as that is known.
    """
    names: dict[str, dict[str | None, list[Result]]] = {}
    for one in sorted(results, key=lambda one: (one.name, not one.tested, one.row["seed"])):
        sides, key = names.setdefault(one.name, {}), one.row.get("identity_digest")
        if key not in sides and not one.finished:
            key = next((other for other, side in sides.items() if not differences(one.row, side[0].row)), key)
        sides.setdefault(key, []).append(one)
    return {name: sorted(sides.values(), key=newest_figures, reverse=True) for name, sides in names.items()}


def newest_figures(side: list[Result]) -> tuple[bool, str]:
    """Return what sorts the results of an identity: whether they have test figures, and when the last of them ended."""
    return max((one.tested, ended(one)) for one in side)


def digest_of(one: Result) -> str:
    """Return what chooses a result and its like: the digest of its identity, or null where it has none."""
    return one.row.get("identity_digest") or "null"


def ended(one: Result) -> str:
    """Return when a run ended, as text that sorts by it; rows of schema 1 do not say, and are older."""
    return one.row.get("ended") or ""


def shared(row: Row) -> set[str]:
    """Return the keys of an identity that all in one table share; the weights are told by what they were drawn for."""
    return {key for key in row if key.startswith(SHARED)} - {f"{PREFIX}model.digest"}


def differences(one: Row, other: Row) -> list[str]:
    """Say what `one` is that `other` is not: settings, versions, environment, code; not the seed, not the machine."""
    ours, theirs = one.get("identity_digest"), other.get("identity_digest")
    if ours == theirs:
        return []
    if not (ours and theirs):
        return ["of known code" if ours else "of unknown code, by a version that did not note it (schema 1)"]
    keys = {key for key in one.keys() | other.keys() if key.startswith(PREFIX)} - NO_SETTINGS
    if one["weights_drawn"] and one["weights_drawn"] == other["weights_drawn"]:
        keys -= {f"{PREFIX}model.digest"}
    said = settings(one, other, keys)
    if one["library_versions"] and other["library_versions"]:  # unknown where a run failed before its environment
        packages = [dict(word.split("==") for word in row["library_versions"].split()) for row in (one, other)]
        said += settings(packages[0], packages[1], packages[0].keys() | packages[1].keys(), "==")
    if one[f"{PREFIX}env"] != other[f"{PREFIX}env"]:
        said += settings({"env": one[f"{PREFIX}env"]}, {"env": other[f"{PREFIX}env"]}, {"env"})
    if one["code_digest"] != other["code_digest"]:
        revisions = [f"revision {row['revision'] or 'unknown'}" for row in (one, other)]
        said.append(f"code {one['code_digest']} ({revisions[0]}), not {other['code_digest']} ({revisions[1]})")
    return said


def settings(one: Row, other: Row, keys: Iterable[str], equals: str = "=") -> list[str]:
    """Say which of the keys have another value in `one` than in `other`."""
    return [
        f"{key.removeprefix(PREFIX)}{equals}{one.get(key, 'none')}, not {other.get(key, 'none')}"
        for key in sorted(keys)
        if one.get(key) != other.get(key)
    ]
