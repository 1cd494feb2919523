"""hparams_search=: an Optuna study whose trials are our runs, and which looks at the valid split alone.

The study is an SQLite file: what a transaction writes is there or is not, whatever is killed, and the system frees the
locks of the dead. (Optuna's journal file can't be read again where a line was cut short and another came after it.)
What a trial tries follows from the sampler's seed, the trial's number and what was found before it, so that a search
that was killed goes on as if it had not been.
"""

import fcntl
import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO

import hydra
import numpy as np
import optuna
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException
from optuna.distributions import BaseDistribution, distribution_to_json
from optuna.trial import FrozenTrial, TrialState

from harness import config
from harness.base.errors import UserError
from harness.base.home import locked
from harness.config.settings import Sampler, Search, Settings, plain
from harness.figures.metrics import METRICS, Metrics
from harness.figures.summary import nearby
from harness.runs import events, prepare
from harness.sweeps import prune, space
from harness.use import run

FAILURES = 3  # in a row end the search
PATIENCE = 60  # seconds to wait for another process that writes to the study
SAMPLERS = {Sampler.tpe: optuna.samplers.TPESampler, Sampler.random: optuna.samplers.RandomSampler}
STATES = {TrialState.RUNNING: "running", TrialState.FAIL: "failed", TrialState.PRUNED: "pruned"}
VALID_ONLY = "evaluate=[valid]"
Command = Callable[[list[str]], str]


def search(base: Settings, words: list[str], ranges: Mapping[str, str], command: Command) -> int:
    """Do the search that the configuration `base` asks for, or go on with it; return the exit code.

    `words` compose `base` but for the search, and `ranges` are those of the command line. `command` returns the command
    that runs what `words` and a trial's own words say.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = Study.open(base, words, ranges)
    failures = 0
    for trial in study.trials():
        print(f"\ntrial {trial.number}: {' '.join(words_of(trial))}", flush=True)
        state, value, said = attempt(study, trial, command)
        study.tell(trial, state, value)
        print(f"trial {trial.number}: {said}; {study.best_so_far()}", flush=True)
        failures = failures + 1 if state == TrialState.FAIL else 0
        if failures == FAILURES:
            raise UserError(
                f"{FAILURES} trials in a row failed, the last one: {said}\n"
                "Mend that, or change the ranges; the same command goes on with the next trial."
            )
    print("\n" + "\n".join(study.table()))
    if not (ranked := study.ranked()):
        return 1
    print(f"  study     {nearby(study.folder / 'study.db')}\n  in full   {command(words_of(ranked[0]))}")
    return 0


def attempt(study: "Study", trial: FrozenTrial, command: Command) -> tuple[TrialState, float | None, str]:
    """Do the run of a trial; return what became of it, its figure, and that in words."""
    judge = prune.Judge(study.curves()) if study.settings.prune else None
    again = command([*words_of(trial), VALID_ONLY])
    try:
        row = run.run(study.configuration(trial), again, show=lambda row, folder: None, judge=judge)
    except UserError as error:
        return TrialState.FAIL, None, str(error)
    if row.status == "pruned":
        return TrialState.PRUNED, None, f"pruned: {row.reason}"
    if not row.finished:
        where = f" (log: {nearby(Path(row.log))})" if row.log else ""
        return TrialState.FAIL, None, f"{row.status}: {row.reason}{where}"
    value = row.get(study.metric)
    if value is None or not math.isfinite(value):
        return TrialState.FAIL, None, f"{study.metric} is {value}"
    return TrialState.COMPLETE, value, f"{study.metric} {value:.3f}"


def composed(words: list[str]) -> Settings:
    """Return the configuration of one run, as if `words` were the command line."""
    try:
        return config.checked(hydra.compose("config", words))
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(config.explain(error, words), code=2) from None


def words_of(trial: FrozenTrial) -> list[str]:
    """Return the words of the command line that say what a trial tries."""
    return [f"{key}={value}" for key, value in trial.params.items()]


@dataclass
class Study:
    """The trials of one search, which several processes may do at once."""

    folder: Path
    words: list[str]  # that compose the configuration, but for a trial's own
    study: optuna.Study
    space: dict[str, BaseDistribution]
    settings: Search
    losses: dict[int, dict[int, float]] = field(default_factory=dict)  # of the trials' runs, once they were read

    @classmethod
    def open(cls, base: Settings, words: list[str], ranges: Mapping[str, str]) -> "Study":
        """Check the search and open its study. Its name follows from what it is; more trials are the same search."""
        settings = base.hparams_search
        assert settings, "a search is chosen"
        metrics = METRICS[base.task]
        metric = settings.metric or f"valid.{metrics.primary}"
        check(metric, metrics)
        settings = replace(settings, metric=metric)
        given = {word.partition("=")[0] for word in words}
        texts = {key: text for key, text in (settings.space or {}).items() if key not in given} | {**ranges}
        found = {key: space.distribution(key, text) for key, text in texts.items()}
        space.check(found, base)
        for point in space.ends(found):
            composed([*words, *(f"{key}={value}" for key, value in point.items())])
        what = {key: plain(getattr(settings, key)) for key in ("sampler", "seed", "metric", "prune")}
        what["space"] = {key: distribution_to_json(distribution) for key, distribution in found.items()}
        what["start"] = prepare.prepare(composed([*words, VALID_ONLY])).identity.values()
        digest = hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:8]
        name = "-".join([base.data.name, base.recipe.name, settings.name, digest])
        folder = base.results / ".searches" / name
        with locked(folder / "lock", f"this search ({name})"):
            address = f"sqlite:///{(folder / 'study.db').as_uri()}?uri=true&timeout={PATIENCE}"
            direction = metrics.figures[metric.partition(".")[2]].better
            study = optuna.create_study(storage=address, study_name=name, direction=direction, load_if_exists=True)
        print(f"search: {settings.trials} trials, of which {len(study.trials)} are there, by {metric}")
        print("\n".join(f"  {key}: {text}" for key, text in texts.items()), flush=True)
        return cls(folder, words, study, found, settings)

    @property
    def metric(self) -> str:
        return self.settings.metric or ""

    def trials(self) -> Iterator[FrozenTrial]:
        """Yield the trials that are to be done, until there are enough or others are at the last of them."""
        while True:
            with locked(self.folder / "lock", "this search"):
                taken = self._left_behind() or self._next()
            if taken is None:
                return
            trial, lock = taken
            with lock:
                yield trial

    def configuration(self, trial: FrozenTrial) -> Settings:
        """Return the configuration of a trial's run."""
        return composed([*self.words, *words_of(trial), VALID_ONLY])

    def curves(self) -> list[dict[int, float]]:
        """Return the training losses of the trials that have a figure, as their runs reported them."""
        for trial in self.ranked():
            if trial.number not in self.losses:
                folder = prepare.prepare(self.configuration(trial)).directory
                self.losses[trial.number] = prune.curve(events.read(folder / "events.jsonl"))
        return list(self.losses.values())

    def tell(self, trial: FrozenTrial, state: TrialState, value: float | None = None) -> None:
        """Record what became of a trial."""
        with locked(self.folder / "lock", "this search"):
            self.study.tell(trial.number, value, state)
            self._lock_of(trial.number).unlink(missing_ok=True)

    def ranked(self) -> list[FrozenTrial]:
        """Return the trials that have a figure, the best first."""
        sign = -1 if self.study.direction == optuna.study.StudyDirection.MAXIMIZE else 1
        done = self.study.get_trials(states=[TrialState.COMPLETE])
        return sorted(done, key=lambda trial: (sign * (trial.value or 0.0), trial.number))

    def best_so_far(self) -> str:
        if not (ranked := self.ranked()):
            return "none finished yet"
        return f"best so far {ranked[0].value:.3f}, trial {ranked[0].number}"

    def table(self) -> list[str]:
        """Return a line a trial, the best first, those without a figure last."""
        ranked = self.ranked()
        rest = [trial for trial in self.study.trials if trial.state != TrialState.COMPLETE]
        rows = [["trial", self.metric, *self.space]]
        for trial in ranked + rest:
            figure = f"{trial.value:.3f}" if trial in ranked else STATES[trial.state]
            rows.append([str(trial.number), figure, *(str(trial.params[key]) for key in self.space)])
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]

    def _left_behind(self) -> tuple[FrozenTrial, IO[str]] | None:
        """Return a trial whose process has gone, and its lock."""
        for trial in self.study.get_trials(states=[TrialState.RUNNING]):
            if lock := self._claimed(trial.number):
                return trial, lock
        return None

    def _next(self) -> tuple[FrozenTrial, IO[str]] | None:
        """Return a new trial and its lock, or None where there are enough.

        It is drawn in a copy of the study and added whole; Optuna's own `ask` writes it bit by bit.
        """
        before = self.study.trials
        number = len(before)
        if number >= self.settings.trials:
            return None
        seed = int(np.random.SeedSequence([self.settings.seed, number]).generate_state(1)[0])
        sampler = SAMPLERS[self.settings.sampler](seed=seed)
        draft = optuna.create_study(direction=self.study.direction, sampler=sampler)
        draft.add_trials(before)
        drawn = draft.ask(self.space).params
        chosen = {key: space.rounded(distribution, drawn[key]) for key, distribution in self.space.items()}
        trial = optuna.trial.create_trial(state=TrialState.RUNNING, params=chosen, distributions=self.space)
        lock = self._claimed(number)
        assert lock, "a trial that was not there has no owner"
        self.study.add_trial(trial)
        return self.study.trials[number], lock

    def _claimed(self, number: int) -> IO[str] | None:
        """Return the lock of a trial, held until it is closed or this process ends; None where another holds it."""
        lock = open(self._lock_of(number), "a", encoding="utf-8")  # noqa: SIM115
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            return None
        return lock

    def _lock_of(self, number: int) -> Path:
        return self.folder / f"trial-{number}.lock"


def check(metric: str, metrics: Metrics) -> None:
    """Refuse to choose by what is no figure of the task; the test split has none to choose by."""
    split, _, figure = metric.partition(".")
    if split not in ("valid", "valid_unseen") or figure not in metrics.figures:
        raise UserError(
            f"hparams_search.metric={metric}: a search chooses by a figure of valid: "
            f"{', '.join(f'valid.{name}' for name in metrics.figures)}, or the same of valid_unseen.",
            code=2,
        )
