"""Each criterion held against a library: what is wanted, what it has, whether that holds, and how one knows."""

import datetime
from dataclasses import dataclass, field
from typing import Any

from harness.results.choose.evidence import Evidence, Figure, Measure, shorter
from harness.results.choose.question import Question
from harness.results.traits import OWN, Library, docstring, speaking

ENOUGH = ("call", "callbacks")  # --aim first_project
MONTH = 365.25 / 12  # days


@dataclass(frozen=True)
class Check:
    """One criterion of one library. `holds` is None where nothing is wanted, or where it is not known."""

    name: str
    title: str
    wanted: str | None
    value: Any
    shown: str
    holds: bool | None
    source: str | None = None
    date: str | None = None  # of a declared trait: when it was looked up
    runs: list[str] = field(default_factory=list)  # of a measured figure

    @property
    def broken(self) -> bool:
        return self.wanted is not None and self.holds is False

    @property
    def unknown(self) -> bool:
        return self.wanted is not None and self.holds is None

    @property
    def option(self) -> str:
        return "--" + self.name.replace("_", "-")


def checks(question: Question, library: Library, evidence: Evidence) -> list[Check]:
    """Return every criterion of a library: those of its declaration, then those that are measured."""
    found = [criterion(question, library) for criterion in (where, aim, own, watch, task, language, age)]
    found += [mentioned(library, name) for name in ("from_scratch", "papers", "serving", "licence")]
    figures = evidence.figures.get(library.name, {})
    limits = question.limits
    return found + [measured(name, one, limits.get(name), figures.get(name)) for name, one in evidence.measures.items()]


def where(question: Question, library: Library) -> Check:
    needed = ["cpu", "gpu"] if question.where == "both" else [question.where]
    able, shown = [place for place in needed if place in library.places], ", ".join(library.places)
    source = f"{library.file}: places" + ("; tried on no GPU yet, docs/gpu.md" if "gpu" in needed else "")
    return Check("where", "runs on", " and ".join(needed), library.places, shown, able == needed, source)


def aim(question: Question, library: Library) -> Check:
    """Hold what an aim comes to against a library; each aim is one plain criterion."""
    if question.aim == "first_project":
        return declared(library, "own", "aim", "first_project: " + " or ".join(ENOUGH), lambda value: value in ENOUGH)
    if question.aim == "from_scratch":
        return declared(library, "from_scratch", "aim", "from_scratch", bool)
    if question.aim == "reproduce":
        return declared(library, "papers", "aim", "reproduce: the code of papers", bool)
    pretrained = library.settings["pretrained"]
    shown = "fine-tunes a pretrained encoder" if pretrained else "takes no pretrained weights"
    holds = pretrained if question.aim else None
    return Check("aim", "aim", question.aim, pretrained, shown, holds, f"{library.file}: pretrained")


def own(question: Question, library: Library) -> Check:
    check = declared(library, "own", "own", " or ".join(question.own) or None, lambda value: value in question.own)
    if check.value is None:
        return check
    owner = docstring(library.recipe)[1]
    shown = owner if owner.startswith("you ") else f"you {OWN[check.value]}; {owner}"
    return Check(**{**vars(check), "shown": shown})


def watch(question: Question, library: Library) -> Check:
    return declared(
        library, "watch", "watch", ", ".join(question.watch) or None, lambda value: set(question.watch) <= set(value)
    )


def task(question: Question, library: Library) -> Check:
    """Hold a task against those that the library is for, and those that its recipe takes here."""
    check = declared(library, "tasks", "task", question.task, lambda value: bool({question.task, "any"} & set(value)))
    if question.task not in library.takes or check.holds:
        return check
    here = {"shown": f"{question.task}, here", "holds": True, "source": f"{library.file}: tasks", "date": None}
    return Check(**{**vars(check), **here})


def language(question: Question, library: Library) -> Check:
    """Hold a language against the library's own models, and those of `model=` that speak it."""
    here = speaking(question.language) if question.language and library.settings["pretrained"] else []
    check = declared(
        library, "languages", "language", question.language,
        lambda value: bool(here or {question.language, "any", "multilingual"} & set(value)),
    )  # fmt: skip
    if not here:
        return check
    return Check(**{**vars(check), "shown": f"model={' or '.join(here)}; its own: {check.shown}", "holds": True})


def age(question: Question, library: Library) -> Check:
    """Hold the oldest of the last releases against the age one accepts, on the day they were looked up."""
    check = declared(library, "releases", "age", f"≤ {question.age:g} months" if question.age else None, bool)
    if not check.value or check.date is None:
        return check
    looked_up = datetime.date.fromisoformat(check.date)
    months = {
        name: (looked_up - datetime.date.fromisoformat(str(release["last"]))).days / MONTH
        for name, release in check.value.items()
    }
    last = [f"{name} {release['version']} of {release['last']}" for name, release in check.value.items()]
    oldest = max(months.values())
    shown = f"{', '.join(last)}: {oldest:.0f} month{'s' * (round(oldest) != 1)} when looked up"
    holds = oldest <= question.age if question.age else None
    return Check("age", "last release", check.wanted, round(oldest, 1), shown, holds, check.source, check.date)


def mentioned(library: Library, name: str) -> Check:
    """Return a trait that nothing asks for."""
    return declared(library, name, name, None, bool)


def declared(library: Library, trait: str, name: str, wanted: str | None, test: Any) -> Check:
    """Hold a trait against what is wanted of it; a trait that is not declared, or null, is not known."""
    known, title = library.traits.get(trait), name.replace("_", " ")
    if known is None or known.value is None:
        return Check(name, title, wanted, None, "not declared", None, library.file)
    value = known.value
    shown = ("yes" if value else "no") if isinstance(value, bool) else str(value)
    if isinstance(value, list):
        shown = ", ".join(value) or "none"
    return Check(name, title, wanted, value, shown, test(value) if wanted else None, known.source, known.date)


def measured(name: str, measure: Measure, limit: float | None, figure: Figure | None) -> Check:
    """Hold a figure against its limit."""
    wanted = f"{'≥' if measure.more else '≤'} {limit:g} {measure.unit}" if limit else None
    if figure is None:
        return Check(name, measure.title, wanted, None, "not measured", None)
    holds = None if limit is None else (figure.value >= limit if measure.more else figure.value <= limit)
    shown = shown_of(figure)
    if limit is not None and figure.range[0] <= limit <= figure.range[1] and figure.range[0] < figure.range[1]:
        shown += ", the limit lies within the range"
    runs = [shorter(run) for run in figure.runs]
    return Check(name, measure.title, wanted, figure.value, shown, holds, None, None, runs)


def shown_of(figure: Figure) -> str:
    """Return a figure in words, and of several seeds how they scatter."""
    plural = f"{len(figure.values)} seeds" if len(figure.values) > 1 else "one seed"
    text = f"{number(figure.measure, figure.value)} {figure.measure.unit}".strip()
    low, high = figure.range
    if low == high:
        return f"{text} ({plural})"
    what = ""
    if figure.measure.quality and figure.interval:
        (low, high), what = figure.interval, "95% interval "
    return f"{text} ({what}{number(figure.measure, low)} to {number(figure.measure, high)}, {plural})"


def number(measure: Measure, value: float) -> str:
    """Return a number with three digits that count."""
    return f"{value:.3f}" if measure.quality else f"{value:#.3g}" if abs(value) < 100 else f"{value:,.0f}"
