"""The A/A check: a recipe against itself. What tells libraries apart must not tell a library from itself.

The stored runs of a recipe, which differ in their seeds alone, are dealt into two halves and compared, many times. Of
all recipes together, the share of those called different must be at most the level of the test, and what chance adds
to it: the deals of one recipe share its runs, so that its share scatters about the level.
"""

from dataclasses import dataclass, field

from harness.results.compare import statistics
from harness.results.compare.analysis import Analysis, predictions_scored
from harness.results.compare.sections import Section, Table
from harness.results.compare.statistics import LEVEL, quantile

TIMES = 200
FEWEST = 4  # runs: two on each side
SCATTER = {4: 0.1}  # standard deviation of a recipe's share by its runs, simulated; of five 0.055, of ten 0.025
OTHERS = 0.055
NOTE = (
    "The runs of a recipe are dealt into two halves and compared as two libraries are. The deals of one recipe share "
    "their runs, so where these are few its share is a rough one; that of all together is what must hold."
)


@dataclass
class Check:
    """How often recipes were called different from themselves, in all groups so far."""

    alarms: int = 0
    deals: int = 0
    scatter: list[float] = field(default_factory=list)  # of the share of each recipe

    @property
    def most(self) -> float:
        """Return the share that a test which holds its level stays below in 95% of such checks."""
        return LEVEL + quantile(1 - LEVEL, 2, of_values=0.0) * sum(one**2 for one in self.scatter) ** 0.5 / len(
            self.scatter
        )

    @property
    def held(self) -> bool:
        return not self.deals or self.alarms <= self.most * self.deals

    def __str__(self) -> str:
        if not self.deals:
            return f"No recipe has {FEWEST} runs: nothing could be checked."
        share = f"{self.alarms / self.deals:.1%}"
        level = f"at most {LEVEL:.0%} may be, {self.most:.1%} by chance: {'held' if self.held else 'NOT HELD'}"
        return f"Recipes called different from themselves: {self.alarms:,} of {self.deals:,} ({share}); {level}."

    def of(self, analysis: Analysis) -> Section:
        """Check each that competes in a group."""
        rows = []
        for one in analysis.contestants:
            if len(one.runs) < FEWEST:
                rows.append([one.name, str(len(one.runs)), "–", f"not checked: that takes {FEWEST} runs"])
                continue
            alarms, half = statistics.false_alarms(predictions_scored(one.runs), TIMES)
            self.alarms, self.deals = self.alarms + alarms, self.deals + TIMES
            self.scatter.append(SCATTER.get(len(one.runs), OTHERS))
            rows.append(
                [one.name, str(len(one.runs)), f"{half} and {half}", f"{alarms} of {TIMES} ({alarms / TIMES:.1%})"]
            )
        head = ["", "runs", "a side", "called different"]
        return Section(analysis.title, [Table("A recipe against itself", head, rows, {0}, NOTE)])
