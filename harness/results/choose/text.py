"""The answer in words, for a terminal or a file."""

import shlex
from collections.abc import Iterable, Iterator, Mapping

from harness.base import layout
from harness.results.choose.schema import Answer, Criterion, Ranked

COLUMNS = ("quality", "test", "train_minutes", "p95_ms", "memory_mb", "environment_mb")


def told(answer: Answer, width: int | None = None) -> str:
    """Return the whole answer: from what, in which order, why, and, last, which to take and how to begin.

    It is for a terminal of that width.
    """
    reasons = [line for one in answer["libraries"] for line in library(one)]
    lines = [*fitted([*heading(answer), ""], width), *table(answer, width), *fitted(front(answer), width)]
    lines += beside(answer, width)
    return "\n".join([*lines, *fitted(["", *reasons, *ending(answer), "", *recommendation(answer)], width)])


def fitted(lines: Iterable[str], width: int | None) -> list[str]:
    """Return lines no wider than a terminal."""
    return [part for line in lines for part in layout.wrapped(line, width)]


def heading(answer: Answer) -> Iterator[str]:
    titles = {check["name"]: check["title"] for check in answer["libraries"][0]["criteria"]}
    known = answer["measured"]
    if answer["advice"]:
        hope = any(not one["broken"] for one in answer["libraries"])
        which = "that was measured " if hope else ""
        yield f"No library {which}holds all that is wanted:"
        yield from (f"  {text}" for text in answer["advice"])
        yield ""
    yield "wanted: " + "; ".join(f"{titles[name]} {text}" for name, text in answer["constraints"].items())
    if "group" in known:
        yield f"measured: {known['from']}, {', '.join(known['places'])}: {known['group']}"
        yield f"seeds: {each(known['seeds'])}"
    if lacking := known.get("lacking"):
        said = each({name: ", ".join(lacking.get(name, ["nothing"])) for name in known["seeds"]})
        yield f"note: weaker than scripts/compare.py asks: {said}"
    yield from (f"note: {note}" for note in known["notes"])


def each(values: Mapping[str, object]) -> str:
    """Return what each library has, or what all have."""
    if len(set(values.values())) == 1 and len(values) > 1:
        return f"{next(iter(values.values()))} of each of {', '.join(values)}"
    return "; ".join(f"{name} {value}" for name, value in values.items())


def table(answer: Answer, width: int | None = None) -> Iterator[str]:
    """Return one line a library: rank, front, figures. An = marks a rank that several share."""
    titles = {check["name"]: check["title"] for check in answer["libraries"][0]["criteria"]}
    rows = [["rank", "library", "front", *(titles[name] for name in COLUMNS)]]
    ranks = [one["rank"] for one in answer["libraries"]]
    for one in answer["libraries"]:
        shared = "=" if ranks.count(one["rank"]) > 1 else ""
        rank = f"{one['rank']}{shared}" if one["rank"] else "out" if one["broken"] else "–"
        front = {True: "on it", False: "beaten", None: "" if one["measured"] else "not measured"}[one["on_front"]]
        shown = {check["name"]: short(check["shown"]) for check in one["criteria"]}
        rows.append([rank, one["name"], front, *(shown[name] for name in COLUMNS)])
    yield from layout.table(rows[0], rows[1:], range(len(rows[0])), width, names=2)


def front(answer: Answer) -> Iterator[str]:
    """Say who is on the front, if there is one."""
    if answer["front"]:
        on = [one["name"] for one in answer["libraries"] if one["on_front"] and one["status"] == "fits"]
        yield f"the Pareto front of {', '.join(answer['front'])}: {', '.join(on) or 'nobody, by what is known'}"


def short(shown: str) -> str:
    """Return a figure without its spread."""
    return "?" if shown == "not measured" else shown.partition(" (")[0]


def beside(answer: Answer, width: int | None = None) -> Iterator[str]:
    """Return a table of own results that nothing is ordered by, and what they lack."""
    if not (known := answer["beside"]):
        return
    titles = {check["name"]: check["title"] for check in answer["libraries"][0]["criteria"]}
    yield ""
    weaker = "weaker than scripts/compare.py asks, so that they order nothing"
    yield from layout.wrapped(f"beside, your own results, {weaker}: {known['group']}", width)
    head, rows = ["library", *(titles[name] for name in COLUMNS), "measured by"], []
    for one in known["libraries"]:
        figures = [short(one["figures"].get(name, "not measured")) for name in COLUMNS]
        rows.append([one["name"], *figures, ", ".join(one["lacking"]) or "enough, but alone"])
    yield from layout.table(head, rows, range(len(head)), width)
    yield from layout.wrapped(f"to go by them all the same: --results {shlex.join(known['places'])}", width)


def library(one: Ranked) -> Iterator[str]:
    """Return what is said of one library."""
    state = "ruled out" if one["status"] == "ruled out" else f"rank {one['rank']}" if one["rank"] else "not measured"
    yield f"{one['name']}: {state}{', if what is not known holds' if one['status'] == 'not known' else ''}"
    for check in one["broken"]:
        yield f"  no   {line(check)}"
    if one["status"] == "ruled out":
        yield ""
        return
    yield f"       {one['pick']}."
    for check in one["not_known"]:
        yield f"  ?    {line(check)}"
    for check in one["reasons"]:
        yield f"  yes  {line(check)}" if check["holds"] else f"       {line(check)}"
    if one["best_in"]:
        yield f"       the best in {', '.join(one['best_in'])}"
    if one["beaten_by"]:
        yield f"       off the front: matched in all of it, beaten in some, by {', '.join(one['beaten_by'])}"
    for other, titles in one["equal"].items():
        alike = "not told apart from" if other in one["not_told_apart"] else "equal within noise to"
        yield f"       {alike} {other}: {', '.join(titles)}"
    yield f"       {one['command']}"
    yield ""


def line(check: Criterion) -> str:
    """Return a criterion with what is wanted, what there is, and how one knows."""
    wanted = f" {check['wanted']}:" if check["wanted"] else ":"
    return f"{check['title']}{wanted} {check['shown']} {known_from(check)}".rstrip()


def known_from(check: Criterion) -> str:
    if runs := check["runs"]:
        more = f" and {len(runs) - 1} more" if len(runs) > 1 else ""
        return f"[{runs[0]}{more}]"
    if check["source"]:
        return f"[{check['source']}{', ' + check['date'] if check['date'] else ''}]"
    return ""


def ending(answer: Answer) -> Iterator[str]:
    yield "The order:"
    yield from (f"  {text}" for text in answer["rule"])


def recommendation(answer: Answer) -> Iterator[str]:
    """Return which library to take, why, and what to do, each step with its command."""
    advised = answer["recommendation"]
    yield f"Take {advised['take']}:" if advised["take"] else "None to take yet:"
    yield from (f"  {text}" for text in advised["why"])
    for step in advised["steps"]:
        yield from (f"  {step['do']}", f"    {step['command']}")


def explained(answer: Answer, width: int | None = None) -> str:
    """Return the whole table: each criterion of each library, its value, whether it holds, and its source."""
    libraries = answer["libraries"]
    lines: list[str] = []
    for number, criterion in enumerate(libraries[0]["criteria"]):
        wanted = criterion["wanted"] or "anything"
        lines += layout.wrapped(f"{criterion['title']} (wanted: {wanted})", width)
        rows = []
        for one in libraries:
            check = one["criteria"][number]
            verdict = {True: "yes", False: "no", None: "?" if check["wanted"] else ""}[
                check["holds"] if check["wanted"] else None
            ]
            rows.append([f"  {one['name']}", verdict, f"{check['shown']} {known_from(check)}"])
        lines += [*layout.table(None, rows, range(3), width), ""]
    return "\n".join(lines)
