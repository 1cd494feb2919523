"""The answer: who breaks a constraint, who stands on the Pareto front, who cannot be told apart; in one plain value.

What is printed and what `--json` gives are both this value; schema.py has its form.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import cast

from harness.results import reading
from harness.results.choose.advice import command, recommended, relaxed
from harness.results.choose.criteria import Check, shown_of
from harness.results.choose.entry import FRONT, Entry, equals, ordered, rivals
from harness.results.choose.evidence import Evidence, shorter
from harness.results.choose.question import PICTURES, Question
from harness.results.choose.schema import Answer, Beside, Criterion, Described, Ranked, Results
from harness.results.traits import Library, docstring

RULE = [
    "First those that break no constraint; then those of which something wanted is not known; then those ruled out.",
    "What is not measured stands after what is; last of all where something wanted of it is not known.",
    "Within each, the Pareto front of {front}: those whom no other matches in all and beats in one.",
    "Without its members the next front counts, and so on.",
    "One front is one rank: its members trade one thing for another and nothing is weighed; they stand by {first}.",
    "Of scores the mean over seeds counts, of all else the median.",
    "Not told apart, as in scripts/compare.py: no difference of {test} is shown (on the same seeds and rows, by "
    "Holm over all pairs); of all else the 95% interval of the ratio holds 1.",
]


def answer(question: Question, libraries: Sequence[Library], evidence: Evidence) -> Answer:
    """Return the ranked list, each library with its reasons, and what the order follows from."""
    front = [name for name in FRONT if evidence.figures and all(name in own for own in evidence.figures.values())]
    entries = ordered(question, libraries, evidence, front)
    ranked = [entry for entry in entries if entry.left and entry.measured or not evidence.group and not entry.broken]
    ranks: list[tuple[int, float]] = sorted({entry.place() for entry in ranked})
    listed: list[Ranked] = [
        {
            **described(entry, rivals(entry, entries), front, evidence),
            "rank": ranks.index(entry.place()) + 1 if entry in ranked else None,
            "command": command(entry.library, question, evidence),
        }
        for entry in entries
    ]
    titles = [evidence.measures[name].title for name in front]
    stand = f"{evidence.measures['quality'].title}, then by name" if evidence.figures else "name"
    words = {"front": ", ".join(titles) or "nothing, for want of figures", "first": stand}
    words["test"] = evidence.measures["test"].title
    return {
        "question": {**asdict(question), "outputs": str(question.outputs), "results": list(map(str, question.results))},
        "constraints": {check.name: check.wanted for check in entries[0].checks if check.wanted},
        "measured": {**measured(evidence), "notes": [*untaken(question, libraries), *evidence.notes]},
        "front": titles,
        "rule": [line.format(**words) for line in RULE],
        "libraries": listed,
        "beside": beside(evidence.beside) if evidence.beside else None,
        "advice": relaxed(entries),
        "recommendation": recommended(question, entries, front, evidence),
    }


def untaken(question: Question, libraries: Sequence[Library]) -> Iterator[str]:
    """Say of a task that no recipe takes what follows from that."""
    if question.task == PICTURES:
        yield "the recipes of the other libraries take texts, whatever else these can"
    elif question.task and not any(question.task in library.takes for library in libraries):
        yield f"no recipe here takes task={question.task}: it is held against what the libraries declare"


def measured(evidence: Evidence) -> Results:
    """Say which results the figures are from, and what they lack; of none, there are notes alone."""
    if not (group := evidence.group):
        return {"notes": evidence.notes}
    return {
        "notes": evidence.notes,
        "from": "your own results" if evidence.own else "the reference results",
        "places": [shorter(place) for place in evidence.places],
        "group": evidence.title,
        "task": group.task,
        "machine": group.machine,
        "data": group.data,
        "seeds": {name: len(one.runs) for name, one in sorted(evidence.contestants.items())},
        "lacking": {name: lacks for name, lacks in sorted(evidence.lacking.items()) if lacks},
    }


def beside(evidence: Evidence) -> Beside:
    """Return the results that nothing is ordered by, each library with its figures and what they lack."""
    return {
        **measured(evidence),
        "libraries": [
            {
                "name": name,
                "lacking": evidence.lacking[name],
                "figures": {key: shown_of(figure) for key, figure in own.items()},
            }
            for name, own in evidence.figures.items()
        ],
    }


def described(entry: Entry, others: Sequence[Entry], front: Sequence[str], evidence: Evidence) -> Described:
    """Return what is said of a library, beside those that it is compared with."""
    equal = {other.name: titles for other in others if (titles := equals(entry, other, front, evidence))}
    what, _, pick = docstring(entry.library.recipe)
    return {
        "name": entry.name,
        "what": what,
        "pick": f"Pick it {pick}",
        "status": entry.status,
        "measured": bool(entry.figures),
        "on_front": None if entry.broken or entry.layer is None else entry.layer == 0,
        "best_in": [evidence.measures[name].title for name in front if best(entry, others, name)],
        "beaten_by": [
            other.name for other in others if front and reading.beats(other.point(front), entry.point(front))
        ],
        "equal": equal,
        "not_told_apart": [name for name, titles in equal.items() if len(titles) == len(front)],
        "reasons": [plain(check) for check in entry.checks if check.holds or (not check.wanted and said(check))],
        "broken": [plain(check) for check in entry.broken],
        "not_known": [plain(check) for check in entry.checks if check.unknown],
        "criteria": [plain(check) for check in entry.checks],
    }


def plain(check: Check) -> Criterion:
    return cast(Criterion, asdict(check))


def said(check: Check) -> bool:
    """Tell whether a criterion that nothing is wanted of is told all the same: what was measured, and two traits."""
    return bool(check.runs) or (check.name in ("own", "age") and check.value is not None)


def best(one: Entry, others: Sequence[Entry], name: str) -> bool:
    """Tell whether none of the others has a better figure; alone, one is not the best of anything."""
    return bool(others) and all(one.point([name]) <= other.point([name]) for other in others)
