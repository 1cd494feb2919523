"""How a training is done, `compile=` and `batches=`: what each recipe takes, and what `auto` is."""

import sys

import pytest
from hydra import compose, initialize_config_dir
from support import RECIPES, chosen, devices

from harness import config
from harness.base.errors import UserError
from harness.config import placing, ways
from harness.config.settings import Batches, Compile
from harness.machine import host
from harness.runs import prepare

SMALL = ["data=onet", "data.train_size=100", "data.valid_size=100", "data.test_size=100"]


def configured(*words):
    with initialize_config_dir(str(config.CONF), version_base="1.3"):
        return config.checked(compose("config", list(words)))


@pytest.fixture
def a_gpu(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    devices(monkeypatch, (9, 0))


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_has_a_way_for_any_training_on_each_of_its_devices(recipe, a_gpu):
    asked = [*chosen(recipe), "env=current"]
    settings = configured(*asked)
    known = {"compile": {one.value for one in Compile}, "batches": {one.value for one in Batches}}
    assert settings.recipe.ways.keys() <= known.keys()
    for place in {"cpu", "gpu"} & {*settings.recipe.places}:
        where = placing.placed(configured(*asked, f"placement={place}"), host.Machine.here())
        for key, words in known.items():
            least = {word: steps[place] for word, steps in ways.of(settings.recipe, key).items() if place in steps}
            assert least.keys() <= words - {"auto"}
            assert 0 in least.values(), "a training of one step is done in some way"
            given = [steps for steps in least.values() if steps is not None]
            assert given == sorted(given), "or auto would take a word before it pays"
        assert ways.chosen(settings, where, 1).keys() == known.keys()


WAYS = {"compile": {"none": {"cpu": 0, "gpu": 0}, "model": {"cpu": 100}, "step": {"gpu": 50}, "steps": {"gpu": None}}}


@pytest.mark.parametrize(
    ("place", "steps", "taken"),
    [("cpu", 99, "none"), ("cpu", 100, "model"), ("gpu", 49, "none"), ("gpu", 10**6, "step")],
)
def test_auto_takes_what_pays_on_the_device_in_so_many_steps(monkeypatch, a_gpu, place, steps, taken):
    monkeypatch.setattr(ways, "of", lambda recipe, key: WAYS.get(key, ways.PLAIN[key]))
    settings = configured(f"placement={place}")
    where = placing.placed(settings, host.Machine.here())
    assert ways.chosen(settings, where, steps) == {"compile": taken, "batches": "padded"}
    asked = configured(f"placement={place}", "compile=none")
    assert ways.chosen(asked, where, steps)["compile"] == "none"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["compile=steps", "placement=cpu"], "does not have it on processors; there it takes auto, none, model."),
        (["compile=model", "placement=gpu"], "does not have it on a GPU; there it takes auto, none, step, steps."),
        (["batches=packed", "placement=gpu"], "batches=packed: recipe=torch takes auto, padded."),
    ],
)
def test_what_a_recipe_or_the_device_does_not_have_is_refused(monkeypatch, a_gpu, words, said):
    monkeypatch.setattr(ways, "of", lambda recipe, key: WAYS.get(key, ways.PLAIN[key]))
    settings = configured("recipe=torch", *words)
    with pytest.raises(UserError) as refused:
        ways.check(settings, placing.placed(settings, host.Machine.here()))
    assert said in str(refused.value)
    assert refused.value.code == 2


def test_what_calls_a_compiler_is_refused_where_there_is_none_and_auto_does_without(monkeypatch):
    words = {"compile": {"none": {"cpu": 0}, "model": {"cpu": 0}}}
    monkeypatch.setattr(ways, "of", lambda recipe, key: words.get(key, ways.PLAIN[key]))
    asked, auto = configured("recipe=torch", "compile=model"), configured("recipe=torch")
    where = placing.placed(auto, host.Machine.here())
    monkeypatch.setenv("CXX", sys.executable)
    ways.check(asked, where)
    assert ways.chosen(auto, where, 1)["compile"] == "model"
    monkeypatch.delenv("CXX")
    monkeypatch.setenv("PATH", "/nowhere")
    assert ways.chosen(auto, where, 1)["compile"] == "none"
    with pytest.raises(UserError, match="compile=model needs a C\\+\\+ compiler.\nInstall one"):
        ways.check(asked, where)


def test_a_graph_of_the_step_is_for_one_gpu(a_gpu, monkeypatch):
    devices(monkeypatch, (9, 0), (9, 0))
    monkeypatch.setattr(ways, "of", lambda recipe, key: WAYS.get(key, ways.PLAIN[key]))  # where it pays
    several, one = configured("recipe=torch", "placement=multi_gpu"), configured("recipe=torch", "placement=gpu")
    machine = host.Machine.here()
    assert ways.chosen(one, placing.placed(one, machine), 10**6)["compile"] == "step"
    assert ways.chosen(several, placing.placed(several, machine), 10**6)["compile"] == "none"
    with pytest.raises(UserError, match="compile=step on one device only"):
        placing.placed(configured("recipe=torch", "placement=multi_gpu", "compile=step"), machine)


def test_another_way_is_another_run_and_what_the_recipe_does_anyway_is_the_same():
    def run(*words):
        prepared = prepare.prepare(configured(*SMALL, *words))
        return prepared.identity.compile, prepared.directory

    assert run("recipe=jax") == run("recipe=jax", "compile=step")
    assert run("recipe=jax")[0] == "step"
    assert run("recipe=tfidf") == run("recipe=tfidf", "compile=step"), "nothing to it, in a sweep with others"


def test_fp16_is_refused_where_a_recipe_does_not_scale_its_loss():
    with pytest.raises(UserError, match="fp16"):
        prepare.prepare(configured("recipe=trax", "precision=fp16", *SMALL))
    assert prepare.prepare(configured("recipe=tfidf", "precision=fp16", *SMALL)).identity.precision is None
