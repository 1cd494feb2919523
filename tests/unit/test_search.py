"""A search with a stand-in for the run: its space, its study, how it goes on. tests/recipes has the real thing."""

import math
from dataclasses import replace

import ads_support
import numpy as np
import optuna
import pytest
from hydra import compose, initialize_config_dir
from optuna.distributions import CategoricalDistribution as Choice
from optuna.distributions import FloatDistribution as Float
from optuna.distributions import IntDistribution as Int
from optuna.trial import TrialState
from support import RECIPES, chosen

from harness import config
from harness.base import bootstrap
from harness.base.errors import UserError
from harness.config.settings import Recipe, made
from harness.figures.metrics import METRICS
from harness.runs.row import Row
from harness.sweeps import prune, search, space


@pytest.fixture(autouse=True)
def hydra_at_work():
    with initialize_config_dir(str(config.CONF), version_base="1.3"):
        yield


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("interval(0, 0.3)", Float(0, 0.3)),
        ("tag(log, interval(1e-5, 1e-2))", Float(1e-5, 1e-2, log=True)),
        ("int(interval(2, 6))", Int(2, 6)),
        ("tag(log,int(interval(1,64)))", Int(1, 64, log=True)),
        ("range(2, 7)", Int(2, 6)),
        ("range(10, 0, -4)", Int(2, 10, step=4)),
        ("range(0, 0.3, 0.1)", Float(0, 0.2, step=0.1)),
        ("1,2.5,x", Choice(["1", "2.5", "x"])),
        ("[1,2],null", Choice(["[1,2]", "null"])),
    ],
)
def test_hydra_s_words_are_optuna_s_distributions(text, found):
    assert space.distribution("k", text) == found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("interval(3, 1)", "the higher end must be above the lower"),
        ("tag(log, interval(0, 1))", "low > 0"),
        ("tag(lgo, interval(1, 2))", "not lgo"),
        ("interval(1)", "missing a required argument: 'end'"),
        ("range(1, 2)", "nothing to choose from"),
        ("choice(1, 1)", "nothing to choose from"),
        ("choice(1", "choice(1"),
        ("0.1", "a range is needed: interval(LOW, HIGH)"),
    ],
)
def test_a_range_that_is_none_is_told(text, said):
    with pytest.raises(UserError) as error:
        space.distribution("recipe.C", text)
    assert f"recipe.C={text}: " in str(error.value)
    assert said in str(error.value)
    assert error.value.code == 2


WRONG = {  # beside recipe=torch hparams_search=tpe
    "hparams_search.metric=test.macro_f1": "a search chooses by a figure of valid",
    "hparams_search.metric=valid.f1": "valid.macro_f1",
    "hparams_search.metric=train.seconds": "valid.macro_f1",
    "hparams_search.trials=0": "hparams_search.trials=0: give a whole number",
    "hparams_search.trials=few": "hparams_search.trials=few: give a whole number",
    "hparams_search.sampler=grid": "hparams_search.sampler: ",
    "hparams_search.seed=-1": "hparams_search.seed=-1",
    "recipe.lerning_rate=interval(1,2)": "Did you mean 'recipe.learning_rate'?",
    "train.epochs=interval(1,2)": "train.epochs",
    "model.dropout=choice(0.1,1.5)": "model.dropout=1.5",
    "seed=0,1,2": "seed is not to be searched",
    "data.split_seed=range(1,9)": "data.split_seed is not to be searched",
    "recipe=tfidf": "train.epochs: recipe=tfidf has no encoder",
    "protocol=controlled": "recipe.weight_decay: protocol=controlled sets that; search protocol.weight_decay",
}


@pytest.mark.parametrize("word", WRONG)
def test_a_search_that_cannot_be_is_told(word, tmp_path):
    ranges = {"recipe=tfidf": ["train.epochs=1,2"], "protocol=controlled": ["recipe.weight_decay=0,0.1"]}
    with pytest.raises(UserError) as error:
        begin(tmp_path, word, *ranges.get(word, []))
    assert WRONG[word] in str(error.value)
    assert error.value.code == 2
    assert not (tmp_path / ".searches").exists()


@pytest.mark.parametrize("recipe", RECIPES)
def test_each_recipe_has_a_space_of_its_own(recipe, tmp_path):
    """And its ends are values that the recipe takes: they are composed."""
    ads_support.write("tagging", 60, tmp_path)
    words = chosen(recipe)
    data = ads_support.words("tagging", tmp_path) if "task=tagging" in words else ["data=onet"]
    study = begin(tmp_path, *data, *words)
    assert study.space
    assert all(key.startswith("recipe.") for key in study.space)
    assert "search" not in config.checked(compose("config", chosen(recipe))).recipe.values


def test_the_command_line_stands_above_the_recipe_s_space(tmp_path):
    study = begin(tmp_path, "recipe.learning_rate=1e-3", "recipe.warmup=interval(0,0.5)")
    assert list(study.space) == ["recipe.head_learning_rate", "recipe.warmup"]


def test_words_of_a_sweep_are_its_runs_but_for_intervals():
    words = ["recipe=torch,flair", "seed=0", "recipe.warmup=interval(0,1)", "-m", "recipe.C=[1,2]"]
    assert config.ranges(words, sweep=True) == {"recipe.warmup": "interval(0,1)"}
    assert config.ranges(words, sweep=False) == {"recipe": "torch,flair", "recipe.warmup": "interval(0,1)"}


@pytest.mark.parametrize(
    ("task", "labels"), [("classification", np.array([0, 1])), ("multilabel", np.eye(2, dtype=np.uint8))]
)
def test_each_figure_of_a_task_has_a_direction_and_one_is_the_primary(task, labels):
    found = METRICS[task]
    assert set(found.figures) == set(found.scores(labels, np.eye(2, dtype=np.float32))) - {"rows"}
    assert {found.primary, *found.shown} <= set(found.figures)


def test_a_search_has_an_environment_that_has_the_core_s_packages():
    assert bootstrap.environment_for(["recipe=torch", "seed=1"]) == "core"
    assert bootstrap.environment_for(["hparams_search.trials=3", "hparams_search=null"]) == "core"
    assert bootstrap.environment_for(["recipe=torch", "hparams_search=tpe"]) == "core_optuna"
    assert bootstrap.suitable("core_optuna")
    assert not bootstrap.suitable("hf_trainer")


def begin(outputs, *words):
    """Open the study of `train.py hparams_search=tpe WORDS`."""
    words = ["recipe=torch", "hparams_search=tpe", f"outputs={outputs}", *words]
    ranges = config.ranges(words, sweep=False)
    words = [word for word in words if word.partition("=")[0] not in ranges]
    words = list({word.partition("=")[0]: word for word in words}.values())
    base = config.checked(compose("config", words))
    return search.Study.open(base, [word for word in words if not word.startswith("hparams_search")], ranges)


class Searches:
    """Searches in one folder; the figure of a trial follows from what it tries."""

    def __init__(self, outputs, monkeypatch, killed=(), failed=(), pruned=()):
        self.outputs, self.killed, self.failed, self.pruned, self.ran = outputs, killed, failed, pruned, []
        words = ["recipe=torch", "data=onet", "hparams_search=tpe", "hparams_search.trials=12", f"outputs={outputs}"]
        self.base = config.checked(compose("config", words))
        monkeypatch.setattr(search, "composed", self.composed)
        monkeypatch.setattr(search.run, "run", self.stand_in)

    def composed(self, words):
        """Do what Hydra does with the words of a trial, in no time."""
        rates = [word.removeprefix("recipe.").split("=") for word in words if word.startswith("recipe.")]
        recipe = {**self.base.recipe.values, **{key: float(value) for key, value in rates}}
        return replace(self.base, recipe=made(Recipe, recipe))

    def stand_in(self, settings, command, show, judge):
        assert command.endswith(" evaluate=[valid]")
        self.ran.append(command)
        if (turn := len(self.ran)) in self.killed:
            raise KeyboardInterrupt
        if turn in self.failed:
            return Row({"status": "failed", "reason": "bad luck", "log": "log.txt"})
        if turn in self.pruned:
            return Row({"status": "pruned", "reason": "too high"})
        rates = [math.log10(settings.recipe.values[key]) for key in ("learning_rate", "head_learning_rate")]
        return Row({"status": "finished", "valid.macro_f1": 1 / (1 + (rates[0] + 3.5) ** 2 + (rates[1] + 2) ** 2)})

    def search(self, trials=12):
        chosen = replace(self.base.hparams_search, trials=trials)
        return search.search(
            replace(self.base, hparams_search=chosen), [], {}, lambda more: " ".join(["train.py", *more])
        )

    def study(self):
        (path,) = self.outputs.glob(".searches/*/study.db")
        return optuna.load_study(study_name=None, storage=f"sqlite:///{path}")

    def trials(self):
        return [(trial.number, trial.params, trial.value) for trial in self.study().trials]


def test_a_search_that_was_killed_goes_on_as_if_it_had_not_been(tmp_path, monkeypatch, capsys):
    """Once in the part that is at random, and twice in that which follows from what was found."""
    whole = Searches(tmp_path / "whole", monkeypatch)
    assert whole.search() == 0
    said = capsys.readouterr().out
    broken = Searches(tmp_path / "broken", monkeypatch, killed={5, 12, 14})
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            broken.search()
    assert broken.search() == 0
    assert len(broken.ran) == 12 + 3
    assert broken.trials() == whole.trials()
    assert {trial.state for trial in broken.study().trials} == {TrialState.COMPLETE}
    numbers, parameters, values = zip(*whole.trials(), strict=True)
    assert numbers == tuple(range(12))
    assert len({str(tried) for tried in parameters}) == 12
    assert min(values[10:]) > sorted(values[:10])[5], "the sampler learns nothing"
    best = values.index(max(values))
    words = " ".join(f"{key}={value}" for key, value in parameters[best].items())
    assert said.rstrip().endswith(f"in full   train.py {words}")
    assert f"trial {best}: {words}\n" in said
    again = Searches(tmp_path / "whole", monkeypatch)
    assert again.search(trials=13) == 0
    assert len(again.ran) == 1
    assert again.trials()[:12] == broken.trials()


def test_failed_trials_are_marked_and_three_in_a_row_end_the_search(tmp_path, monkeypatch, capsys):
    searches = Searches(tmp_path, monkeypatch, failed={2, 3, 5, 6, 7}, pruned={4, 9, 10, 11})
    with pytest.raises(UserError) as error:
        searches.search()
    assert "3 trials in a row failed, the last one: failed: bad luck" in str(error.value)
    assert "trial 1: failed: bad luck" in capsys.readouterr().out
    assert searches.search() == 0
    assert "trial 8: pruned: too high" in capsys.readouterr().out
    states = [trial.state for trial in searches.study().trials]
    assert [number for number, state in enumerate(states) if state == TrialState.FAIL] == [1, 2, 4, 5, 6]
    assert [number for number, state in enumerate(states) if state == TrialState.PRUNED] == [3, 8, 9, 10]
    assert len(states) == len(searches.ran) == 12


def test_of_two_searchers_each_does_other_trials_and_what_one_left_is_done_by_the_other(tmp_path):
    words = ["data=onet", "hparams_search.trials=3"]
    one, other = begin(tmp_path, *words), begin(tmp_path, *words)
    of_one, of_other = one.trials(), other.trials()
    first, second = next(of_one), next(of_other)
    assert (first.number, second.number) == (0, 1)
    of_one.close()  # it has gone, in the middle of its trial
    other.tell(second, TrialState.COMPLETE, 0.5)
    again = next(of_other)
    assert (again.number, again.params) == (0, first.params)
    other.tell(again, TrialState.COMPLETE, 0.7)
    assert next(of_other).number == 2
    assert list(begin(tmp_path, *words).trials()) == []
    assert [trial.number for trial in one.ranked()] == [0, 1]
    assert one.table()[-1].split()[:2] == ["2", "running"]


def test_less_is_better_where_the_figure_is_a_loss(tmp_path):
    study = begin(tmp_path, "data=onet", "hparams_search.metric=valid.log_loss", "hparams_search.trials=3")
    for trial, value in zip(study.trials(), (1.5, 0.5, 2.5), strict=True):
        study.tell(trial, TrialState.COMPLETE, value)
    assert [trial.number for trial in study.ranked()] == [1, 0, 2]
    assert study.best_so_far() == "best so far 0.500, trial 1"


def test_only_what_a_run_is_measured_on_beside_the_default_is_part_of_its_name():
    """So that what was finished before there were searches keeps its directory."""
    words = ["recipe=tfidf", "data=onet"]
    names = [search.run.prepare(search.composed([*words, *more])).identity for more in
             ([], ["evaluate=[test,valid]"], ["evaluate=[valid]"])]  # fmt: skip
    assert names[0].evaluate is None
    assert names[0] == names[1]
    assert names[2].values() == names[0].values() | {"evaluate": ["valid"]}


def steps(losses, number=100):
    return [{"event": "step", "step": step, "steps": number, "loss": losses(step / number)} for step in
            range(1, number + 1)]  # fmt: skip


def test_the_training_loss_counts_by_tenths_of_the_steps_that_are_over():
    assert prune.curve(steps(lambda share: share, 20)[:8]) == pytest.approx({0: 0.075, 1: 0.175, 2: 0.275})
    assert prune.curve([{"event": "phase_start", "name": "train"}, {"event": "step", "step": 9, "steps": 9}]) == {}


def ended(before, losses, number=100):
    """Return the step at which a run with these losses is ended, and why; None where it is not."""
    judge = prune.Judge(before)
    return next(((step["step"], reason) for step in steps(losses, number) if (reason := judge(step))), None)


def test_a_trial_whose_loss_is_above_the_median_is_ended_after_its_beginning():
    before = [prune.curve(steps(lambda share, rate=rate: 3 - rate * share)) for rate in (0.5, 1, 1.5, 2, 2.5)]
    assert ended(before, lambda share: 3 - 1.6 * share) is None
    step, reason = ended(before, lambda share: 3 - 1.4 * share)
    assert step == 41
    assert reason == "training loss 2.503 after 4 tenths of the steps: above the median before"
    assert ended(before, lambda share: 3 - 1.4 * share, number=1000)[0] == 401, "other numbers of steps compare"
    assert ended(before, lambda share: 3.0 - share if share < 0.65 else 0.1)[0] == 41
    assert ended(before, lambda share: math.nan)[0] == 41
    assert ended(before[1:], lambda share: 9) is None, "too few to compare with"
