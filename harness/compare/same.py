"""The A/A check: a recipe against itself. What tells libraries apart must not tell a library from itself.

The stored runs of a recipe, which differ in their seeds alone, are dealt into two halves and compared, many times. The
share of those called different must be at most the level of the test.
"""

from collections.abc import Sequence

from harness.compare import statistics
from harness.compare.analysis import Analysis, predictions_scored
from harness.compare.sections import Section, Table

TIMES = 200
FEWEST = 4  # runs: two on each side
NOTE = (
    "The runs of a recipe are dealt into two halves and compared as two libraries are; the deals share their runs, so "
    "the share is a rough one where these are few."
)


def checked(analysis: Analysis) -> Section:
    """Return the check of each that competes in a group."""
    rows = []
    for one in analysis.contestants:
        if len(one.runs) < FEWEST:
            rows.append([one.name, str(len(one.runs)), "–", "–", f"not checked: that takes {FEWEST} runs"])
            continue
        alarms, half = statistics.false_alarms(predictions_scored(one.runs), TIMES)
        verdict = "held" if alarms <= statistics.LEVEL * TIMES else "NOT held"
        share = f"{alarms} of {TIMES} ({alarms / TIMES:.1%})"
        rows.append([one.name, str(len(one.runs)), f"{half} and {half}", share, verdict])
    head = ["", "runs", "a side", "called different", f"at most {statistics.LEVEL:.0%}"]
    return Section(analysis.group.title, [Table("A recipe against itself", head, rows, {0, 4}, NOTE)])


def failed(sections: Sequence[Section]) -> bool:
    """Tell whether any recipe was told from itself too often."""
    return any(row[-1] == "NOT held" for section in sections for row in section.tables[0].rows)
