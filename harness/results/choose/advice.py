"""What to do: the library to take and the command, or, where nothing is left, what to relax and what to measure."""

import math
import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from harness.base.home import ROOT
from harness.figures.metrics import CLASSIFICATION
from harness.results.choose.criteria import Check, shown_of
from harness.results.choose.entry import Entry, equals, rivals
from harness.results.choose.evidence import Evidence
from harness.results.choose.question import PICTURES, Question, words
from harness.results.choose.schema import Recommendation, Step
from harness.results.choose.strength import tasks_of
from harness.results.compare.rules import RUNS
from harness.results.traits import Library, speaking

SHARED = ("data.", "train.", "model", "precision", "threads", "measure.")  # words of a run that its rivals must share

ANYBODYS = ("csv", "hub")  # choices of data= that are nothing without words of their own
MEASURE = "to measure them on this machine, and then to ask again:"


def command(library: Library, question: Question, evidence: Evidence) -> str:
    """Return the command that starts with a library: of the task, where its recipe takes it."""
    told = question.of_pictures or evidence.task in library.takes
    words = [*library.words, *(about_data(question, evidence) if told else ())]
    if library.settings["pretrained"] and question.language and question.language != "en":
        words.append(f"model={speaking(question.language)[0]}")
    return shlex.join(["python", "train.py", *words, *placed(question)])


def about_data(question: Question, evidence: Evidence) -> list[str]:
    """Return the words that choose data and task; of a task that the default data set is not of, the first that is."""
    data = question.data or (evidence.group.data if evidence.group else None)
    if question.of_pictures:
        return [f"data={data or PICTURES}", "data.train=FOLDER"]
    if evidence.task == CLASSIFICATION:
        return [f"data={data}"] if data else []
    names = sorted(path.stem for path in (ROOT / "conf" / "data").glob("*.yaml"))
    able = [name for name in names if evidence.task in tasks_of(name)]
    data = data or next((name for name in able if name not in ANYBODYS), "csv")
    own = [word for word in shared(evidence) if word.startswith("data.")] if data in ANYBODYS else []
    return [f"data={data}", f"task={evidence.task}", *own]


def shared(evidence: Evidence) -> list[str]:
    """Return the words of what was measured that a run of another library must share with it."""
    runs = [run for one in evidence.contestants.values() for run in one.runs]
    runs = [run for run in runs if run.row["model"]] or runs
    return [f"{key}={value}" for key, value in runs[0].words.items() if key.startswith(SHARED)] if runs else []


def placed(question: Question) -> list[str]:
    return ["placement=gpu"] if question.where == "gpu" else []


def measuring(question: Question, entries: Sequence[Entry], evidence: Evidence) -> list[Step]:
    """Return the command that measures here, as the figures were, all that takes the task and no trait rules out.

    A sweep is over recipes, so of one with several backends that of its own file.
    """
    left = [one.library for one in entries if not any(check.broken and not check.runs for check in one.checks)]
    hopeful = [library for library in left if evidence.task in library.takes]
    if not hopeful:
        return []
    plain = [library.recipe for library in hopeful if len(library.words) == 1]
    chosen = [f"recipe={','.join(plain)}"] if plain else list(hopeful[0].words)
    seeds = f"seed={','.join(map(str, range(RUNS)))}"
    words = dict.fromkeys([*chosen, seeds, *about_data(question, evidence), *shared(evidence), *placed(question)])
    return [{"do": MEASURE, "command": shlex.join(["python", "train.py", "-m", *words])}]


def relaxed(entries: Sequence[Entry]) -> list[str]:
    """Say, where nothing is left, which constraint rules out most and what would let something in."""
    if any(entry.left for entry in entries):
        return []
    out = ruled_out(entries)
    counted = Counter(check.option for one in out for check in one.broken)
    most, times = min(counted.items(), key=lambda pair: (-pair[1], pair[0]))
    lines = [f"{most} rules out most: {times} of {len(out)}."]
    for option in sorted(counted, key=lambda option: (-counted[option], option)):
        freed = [one.name for one in out if {check.option for check in one.broken} == {option}]
        if freed:
            lines.append(f"Without {option} there would be: {', '.join(freed)}.")
    fewest = min(len(one.broken) for one in out)
    lines += [f"{one.name} breaks fewest: {against(one)}." for one in out if len(one.broken) == fewest]
    return lines


def ruled_out(entries: Sequence[Entry]) -> list[Entry]:
    """Return those that break something: the measured ones, where something is measured."""
    return [one for one in entries if one.broken and one.measured] or [one for one in entries if one.broken]


def against(one: Entry) -> str:
    return "; ".join(f"{check.option} {check.wanted}, it has {check.shown}" for check in one.broken)


def recommended(
    question: Question, entries: Sequence[Entry], front: Sequence[str], evidence: Evidence
) -> Recommendation:
    """Return which library to take (None: none), why, and what to do, each step with its command, the best one last."""
    first, left = entries[0], [one.name for one in entries if one.left]
    if not left:
        return nearest(question, entries, evidence)
    if not evidence.group:
        alone = f"nothing is measured; by what is declared {len(left)} of {len(entries)} are left: {', '.join(left)}"
        steps = measuring(question, entries, evidence)
        return {"take": None if left[1:] else left[0], "why": [alone], "steps": steps}
    why = ["nothing wanted speaks against it; how good and how fast it is was not measured"]
    if first.figures:
        why = list(reasons(first, entries, front, evidence))
    step: Step = {"do": "to start with it:", "command": command(first.library, question, evidence)}
    return {"take": first.name, "why": why, "steps": [step]}


def reasons(first: Entry, entries: Sequence[Entry], front: Sequence[str], evidence: Evidence) -> Iterator[str]:
    """Say why a measured library is the one to take, and which others there are reasons to take."""
    if unknown := [check.title for check in first.checks if check.unknown]:
        yield f"if what is not known holds: {', '.join(unknown)}"
    others = rivals(first, entries)
    quality = first.figures["quality"]
    yield (
        f"the {'highest' if quality.measure.more else 'lowest'} {quality.measure.title} of {len(others) + 1} "
        f"that are left, {quality.value:.3f}"
        if others
        else "the only one left of those that were measured"
    )
    same = [one for one in others if evidence.measures["test"].title in equals(first, one, front, evidence)]
    if same:
        yield f"not shown to be worse, in {evidence.measures['test'].title}: {', '.join(one.name for one in same)}"
    if untested := [one.name for one in others if frozenset([first.name, one.name]) not in evidence.shown]:
        yield f"not tested beside, for want of two seeds or of predictions: {', '.join(untested)}"
    for name in front:
        if name == "quality" or not same:
            continue
        one = min(same, key=lambda one: one.point([name]))
        told_apart = evidence.measures[name].title not in equals(first, one, front, evidence)
        if told_apart and one.point([name]) < first.point([name]):
            shown = [shown_of(each.figures[name]).partition(" (")[0] for each in (one, first)]
            yield f"of these, for less {evidence.measures[name].title}: {one.name}, {shown[0]} for {shown[1]}"


def nearest(question: Question, entries: Sequence[Entry], evidence: Evidence) -> Recommendation:
    """Say what to do where nothing is left: measure what there is hope of, or relax what the nearest library breaks."""
    one = min(
        ruled_out(entries),
        key=lambda one: (len(one.broken), max(excess(question, check) for check in one.broken), one.key()),
    )
    hoped = [each.name for each in entries if not each.broken]
    why = [f"not measured, so they may hold all that is wanted: {', '.join(hoped)}"] if hoped else []
    why.append(f"nearest is {one.name}: {against(one)}")
    steps: list[Step] = []
    if evidence.group and (hoped or (not evidence.own and any(check.runs for check in one.broken))):
        steps = measuring(question, entries, evidence)
    again = shlex.join(["python", "scripts/choose.py", *words(relaxing(question, one, evidence))])
    return {"take": None, "why": why, "steps": [*steps, {"do": f"to relax what {one.name} breaks:", "command": again}]}


def excess(question: Question, check: Check) -> float:
    """Return by how much a limit is missed, as a ratio above 1; a trait is missed altogether."""
    limit = question.limits.get(check.name)
    return max(check.value / limit, limit / check.value) if limit else math.inf


def relaxing(question: Question, one: Entry, evidence: Evidence) -> Question:
    """Return the question with what a library breaks relaxed so far that it breaks nothing."""
    changed = replace(question, limits=dict(question.limits), own=list(question.own))
    for check in one.broken:
        if check.name in question.limits:
            changed.limits[check.name] = rounded(check.value, up=not evidence.measures[check.name].more)
        elif check.name == "own" and check.value:
            changed.own.append(check.value)
        elif check.name == "age":
            changed.age = float(math.ceil(check.value))
        else:
            setattr(changed, check.name, getattr(Question(), check.name))
    return changed


def rounded(value: float, up: bool) -> float:
    """Return a number of three digits that is no less, or no more."""
    step = 10.0 ** (math.floor(math.log10(value)) - 2)
    return float(f"{(math.ceil if up else math.floor)(value / step) * step:.6g}")
