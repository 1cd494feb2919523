"""The answer: who breaks a constraint, who stands on the Pareto front, who cannot be told apart; in one plain value.

What is printed and what `--json` gives are both this value.
"""

import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from harness import results
from harness.choose.criteria import Check, checks
from harness.choose.evidence import MEASURES, Evidence, Figure, shorter
from harness.choose.question import Question
from harness.traits import Library, docstring, models

FRONT = ("quality", "train_minutes", "p95_ms", "memory_mb", "environment_mb")
STATUSES = ("fits", "not known", "ruled out")
RULE = [
    "First those that break no constraint; then those of which something wanted is not known; then those ruled out.",
    "Within each, the Pareto front of {front}: those whom no other matches in all and beats in one.",
    "Without its members the next front counts, and so on; what is not measured comes last.",
    "One front is one rank: its members trade one thing for another and nothing is weighed; they stand by {first}.",
    "Means over seeds count. Equal within noise: the 95% intervals over seeds of macro-F1 overlap; else, the ranges.",
]


@dataclass
class Entry:
    """A library with all its checks, and where it comes to stand."""

    library: Library
    checks: list[Check]
    figures: dict[str, Figure]
    layer: int | None = None  # 0: on the front; None: not measured, or not all of what the front takes

    @property
    def status(self) -> str:
        if any(check.broken for check in self.checks):
            return "ruled out"
        return "not known" if any(check.unknown for check in self.checks) else "fits"

    def point(self, front: Sequence[str]) -> list[float]:
        """Return what the front compares; less is better."""
        return [(-1 if MEASURES[name].more else 1) * self.figures[name].mean for name in front]

    def place(self) -> tuple[int, float]:
        """Return what decides the rank: the status, then the front."""
        return STATUSES.index(self.status), float("inf") if self.layer is None else self.layer

    def key(self) -> tuple[Any, ...]:
        """Return the order within and across ranks."""
        quality = self.figures.get("quality")
        return *self.place(), -quality.mean if quality else 0.0, self.library.name


def answer(question: Question, libraries: Sequence[Library], evidence: Evidence) -> dict[str, Any]:
    """Return the ranked list, each library with its reasons, and what the order follows from."""
    entries = []
    for library in libraries:
        figures = evidence.figures.get(library.name, {})
        entries.append(Entry(library, checks(question, library, figures), figures))
    front = [name for name in FRONT if evidence.figures and all(name in own for own in evidence.figures.values())]
    for status in STATUSES:
        layered([entry for entry in entries if entry.status == status], front)
    entries.sort(key=Entry.key)
    ranks: list[tuple[int, float]] = sorted({entry.place() for entry in entries if entry.status != "ruled out"})
    titles = [MEASURES[name].title for name in front]
    stand = "valid macro-F1, then by name" if evidence.figures else "name"
    return {
        "question": {**asdict(question), "outputs": str(question.outputs)},
        "constraints": {check.name: check.wanted for check in entries[0].checks if check.wanted},
        "measured": measured(evidence),
        "front": titles,
        "rule": [line.format(front=", ".join(titles) or "nothing, for want of figures", first=stand) for line in RULE],
        "libraries": [
            {**described(entry, entries, ranks, front), "command": command(entry.library, question, evidence)}
            for entry in entries
        ],
        "advice": advice(entries),
    }


def layered(entries: list[Entry], front: Sequence[str]) -> None:
    """Give each measured entry its front: 0, and, without those, 1, 2, …"""
    left = [entry for entry in entries if front and entry.figures]
    layer = 0
    while left:
        on = set(results.pareto_front([entry.point(front) for entry in left]))
        for number in on:
            left[number].layer = layer
        left = [entry for number, entry in enumerate(left) if number not in on]
        layer += 1


def measured(evidence: Evidence) -> dict[str, Any]:
    """Say which results the figures are from; of none, there are notes alone."""
    known: dict[str, Any] = {"notes": evidence.notes}
    if group := evidence.group:
        known["from"] = "your own results" if evidence.own else "the reference results"
        known["places"] = [shorter(place) for place in evidence.places]
        known |= {"group": group.title, "machine": group.machine, "data": group.data}
        known["seeds"] = {name: len(own["quality"].values) for name, own in sorted(evidence.figures.items())}
    return known


def described(
    entry: Entry, entries: list[Entry], ranks: list[tuple[int, float]], front: Sequence[str]
) -> dict[str, Any]:
    """Return what is said of a library; who is ruled out is compared with nobody."""
    out = entry.status == "ruled out"
    alike = [] if out or not entry.figures else [other for other in entries if other.status == entry.status]
    rivals = [other for other in alike if other.figures and other is not entry]
    equal = {other.library.name: titles for other in rivals if (titles := equals(entry, other, front))}
    beaten_by = [other for other in rivals if front and results.beats(other.point(front), entry.point(front))]
    what, _, pick = docstring(entry.library.recipe)
    stated = [check for check in entry.checks if check.holds or (not check.wanted and said(check))]
    return {
        "name": entry.library.name,
        "what": what,
        "pick": f"Pick it {pick}",
        "rank": None if out else ranks.index(entry.place()) + 1,
        "status": entry.status,
        "on_front": None if out or entry.layer is None else entry.layer == 0,
        "best_in": [MEASURES[name].title for name in front if best(entry, rivals, name)],
        "beaten_by": [other.library.name for other in beaten_by],
        "equal": equal,
        "not_told_apart": [name for name, titles in equal.items() if len(titles) == len(front)],
        "reasons": [asdict(check) for check in stated],
        "broken": [asdict(check) for check in entry.checks if check.broken],
        "not_known": [asdict(check) for check in entry.checks if check.unknown],
        "criteria": [asdict(check) for check in entry.checks],
    }


def said(check: Check) -> bool:
    """Tell whether a criterion that nothing is wanted of is told all the same: what was measured, and two traits."""
    return bool(check.runs) or (check.name in ("own", "age") and check.value is not None)


def best(one: Entry, others: Sequence[Entry], name: str) -> bool:
    """Tell whether none of the others has a better figure; alone, one is not the best of anything."""
    return bool(others) and all(one.point([name]) <= other.point([name]) for other in others)


def equals(one: Entry, other: Entry, front: Sequence[str]) -> list[str]:
    """Return the titles of what two libraries cannot be told apart in: intervals, or ranges, that overlap."""
    return [MEASURES[name].title for name in front if overlap(name, one.figures[name], other.figures[name])]


def overlap(name: str, one: Figure, other: Figure) -> bool:
    """Tell whether two figures are equal within noise; of one seed, noise is not known, and only equal is equal."""
    first, second = (figure.interval if MEASURES[name].quality else figure.range for figure in (one, other))
    if first is None or second is None:
        return one.mean == other.mean
    return first[0] <= second[1] and second[0] <= first[1]


def command(library: Library, question: Question, evidence: Evidence) -> str:
    """Return the command that starts with a library."""
    words = [*library.words]
    data = question.data or (evidence.group.data if evidence.group else None)
    if data:
        words.append(f"data={data}")
    if library.settings["pretrained"] and question.language and question.language != "en":
        speaks = models().get(question.language)
        words += [f"model={speaks[0]}"] if speaks else ["model=path", "model.path=FOLDER"]
    if question.where == "gpu":
        words.append("placement=gpu")
    return shlex.join(["python", "train.py", *words])


def advice(entries: Sequence[Entry]) -> list[str]:
    """Say, where everything is ruled out, which constraint rules out most and what would let something in."""
    if any(entry.status != "ruled out" for entry in entries):
        return []
    broken = {entry.library.name: [check for check in entry.checks if check.broken] for entry in entries}
    counted = Counter(check.option for some in broken.values() for check in some)
    most, times = min(counted.items(), key=lambda pair: (-pair[1], pair[0]))
    lines = [f"{most} rules out most: {times} of {len(entries)}."]
    for option in sorted(counted, key=lambda option: (-counted[option], option)):
        freed = [name for name, some in broken.items() if {check.option for check in some} == {option}]
        if freed:
            lines.append(f"Without {option} there would be: {', '.join(freed)}.")
    fewest = min(map(len, broken.values()))
    for name, some in broken.items():
        if len(some) == fewest:
            what = "; ".join(f"{check.option} {check.wanted}, it has {check.shown}" for check in some)
            lines.append(f"{name} breaks fewest: {what}.")
    return lines
