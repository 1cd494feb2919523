"""Pruning: end a trial whose training loss, in a tenth of its steps, is above the median of the trials before it.

That is all the worker reports while it trains: figures on valid come at the end. So it tells who learns slowly or
diverges, and nothing of who generalises; a loss that is another by itself (dropout, pooling) is not compared fairly.
"""

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import fmean

import optuna
from optuna.trial import TrialState, create_trial

from harness.runs.events import Event

STARTUP = 5  # trials that are not ended, for the others to be compared with
WARMUP = 3  # tenths in which none is ended


def curve(events: Iterable[Event]) -> dict[int, float]:
    """Return the mean training loss that was reported in each tenth of the steps, of the tenths that are over."""
    tenths = defaultdict(list)
    for event in events:
        if event["event"] == "step" and (loss := event.get("loss")) is not None:
            tenths[10 * (event["step"] - 1) // event["steps"]].append(loss if math.isfinite(loss) else math.inf)
    return {tenth: fmean(losses) for tenth, losses in tenths.items() if tenth < max(tenths)}


@dataclass
class Judge:
    """Follows a run; called with each event, it says why the run is to end, if it is."""

    before: list[dict[int, float]]  # the curves of the trials that were not ended
    events: list[Event] = field(default_factory=list)
    judged: int = 0

    def __call__(self, event: Event) -> str | None:
        self.events.append(event)
        losses = curve(self.events)
        if len(losses) == self.judged:
            return None
        self.judged = len(losses)
        study = optuna.create_study(pruner=optuna.pruners.MedianPruner(STARTUP, WARMUP))  # of losses: less is better
        study.add_trials([create_trial(value=0.0, intermediate_values=losses_then) for losses_then in self.before])
        study.add_trial(create_trial(state=TrialState.RUNNING, intermediate_values=losses))
        if not study.pruner.prune(study, study.trials[-1]):
            return None
        tenth = max(losses)
        return f"training loss {losses[tenth]:.3f} after {tenth + 1} tenths of the steps: above the median before"
