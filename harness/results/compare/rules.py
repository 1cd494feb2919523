"""The rules that a table is held to, declared before and printed with it, in the manner of MLPerf and AlgoPerf."""

from collections import Counter
from collections.abc import Iterator

from harness.results.compare.analysis import Analysis, Contestant

RUNS = 5  # of each that competes, each with a seed of its own


def few(one: Contestant, runs: int) -> bool:
    return len(one.runs) < runs


def said(analysis: Analysis, runs: int) -> list[str]:
    """Return the rules, each with what became of it."""
    return [*about_runs(analysis.contestants, runs), *about_figures(analysis)]


def about_runs(ones: list[Contestant], runs: int) -> Iterator[str]:
    """Say of each rule about runs whether it was held."""
    short = [f"{one.name} has {len(one.runs)}" for one in ones if few(one, runs)]
    yield f"{runs} runs of each, each with a seed of its own: {', '.join(short) + ' (marked *)' if short else 'held'}."
    unknown = sum("identity_digest" not in run.row for one in ones for run in one.runs)
    yield "The runs of each are of one code, one setting, one environment: " + (
        f"of {unknown} that is not known, they are of a version that did not note it (schema 1)."
        if unknown
        else "held."
    )
    again = [f"{run.folder.name} ({run.row['seed']} is there already)" for one in ones for run in one.again]
    yield f"No seed twice: {'left out: ' + ', '.join(again) if again else 'held'}."
    failed = [run for one in ones for run in one.failed]
    reasons = [
        f"{run.row['recipe']} seed {run.row['seed']} {run.row['status']}: "
        + (run.row.get("reason") or "").partition("\n")[0].rstrip(":. ")
        for run in failed
    ]
    many = len(reasons) > 5
    total = sum(len(one.runs) for one in ones) + len(failed)
    yield f"Failed runs are counted: {len(failed)} of {total}{'; ' if failed else ''}" + (
        "; ".join(reasons[:5]) + ("; …" if many else ".")
    )
    if interrupted := [run for one in ones for run in one.interrupted]:
        names = ", ".join(f"{run.row['recipe']} seed {run.row['seed']}" for run in interrupted[:5])
        yield (
            f"Interrupted runs are neither results nor failures: {len(interrupted)}, the same command goes on with "
            + (f"each: {names}{', …' if len(interrupted) > 5 else '.'}")
        )
    if trials := sum(one.trials for one in ones):
        yield f"A search's trials, which have no test figures, do not compete: {trials} left out."


def about_figures(analysis: Analysis) -> Iterator[str]:
    """Say what the figures are, and of times from which runs."""
    yield f"controlled and native are never in one table: this is {analysis.group.protocol}."
    yield "What is chosen is chosen by valid, in whose order the rows are; test stands beside it."
    aimed = [run for one in analysis.contestants for run in one.runs if run.row.get("train.target")]
    if aimed:
        missed = [run for run in aimed if run.row.get("train.target_seconds") is None]
        left = ", ".join(f"{run.row['recipe']} seed {run.row['seed']}" for run in missed)
        target = f"valid {analysis.group.metrics.primary_name} of {aimed[0].row['train.target']:g}"
        yield f"The target, a {target}, was reached by " + (
            f"{len(aimed) - len(missed)} of {len(aimed)} runs, whose times these are; not by {left}."
            if missed
            else "all runs."
        )
    notes = Counter(run.row.get("timing") or "not noted" for one in analysis.contestants for run in one.runs)
    without = [f"{number} {note}" for note, number in notes.items() if note not in ("ok", "told")]
    told = f"; {notes['told']} on a machine that was not quiet, told to count" if notes["told"] else ""
    yield f"Times are of runs on a quiet machine: {'without ' + ', '.join(without) if without else 'all'}{told}."
