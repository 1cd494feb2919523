"""What the values of the configuration may be: the words of a rule, the rules there are, what a wrong value is told."""

import math
import re

import pytest
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from support import RECIPES, ROOT, chosen

from harness.base.errors import UserError
from harness.config import CONF, allowed, checked, choices
from harness.config.settings import CAPABILITIES

ABOUT = {  # the library
    "name", "environment", "variants", "libraries", "traits", "search", "allowed", "tasks", *CAPABILITIES,
}  # fmt: skip


@pytest.fixture(autouse=True)
def hydra_at_work():
    with initialize_config_dir(str(CONF), version_base="1.3"):
        yield


@pytest.mark.parametrize(
    ("rule", "takes", "refuses"),
    [
        ("a number above 0", [1e-9, 1, 10**400], [0, 0.0, -1, math.nan, math.inf, "1", True, None, [1]]),
        ("a number from 0 on", [0, 0.5], [-1e-9, math.inf]),
        ("a number from 0 to 1", [0, 1], [1.1, -0.1]),
        ("a number from 0 below 1", [0, 0.99], [1]),
        ("a number above 0 up to 1, or null", [1, None], [0, "null"]),
        ("a whole number from -3 to 2", [-3, 2], [-4, 3, 1.0, 1.5, True]),
        ("a whole number above 0, or a number above 0 below 1, or null", [7, 0.1, None], [0, 1.0, 1.5]),
        ("a number from 0 on, or inf", [0, math.inf], [-1, math.nan]),
        ("2 numbers from 0 below 1", [[0.9, 0.99]], [[0.9], [0.9, 1], [0.9, "x"], 0.9, [0.1, 0.2, 0.3]]),
        ("whole numbers above 0, in order", [[], [1], [1, 2, 2]], [[2, 1], [0, 1], [1, 2.5], None]),
        ("numbers", [[-1, 2.5]], [[math.nan]]),
        ("true or false", [True, False], [0, 1, "true", None]),
        ("one of mean, cls", ["mean", "cls"], ["max", "mean, cls", None, 0]),
        ("a whole number from 0 to 9, or seed", [3, "seed"], ["sead", None]),
    ],
)
def test_a_rule_is_what_its_words_say(rule, takes, refuses):
    for value in takes:
        assert allowed.allows(rule, value), value
    for value in refuses:
        assert not allowed.allows(rule, value), value


@pytest.mark.parametrize("recipe", RECIPES)
def test_all_that_can_be_chosen_of_a_recipe_is_declared_and_no_more(recipe):
    config = compose("config", chosen(recipe))
    settings = set(config.recipe) - ABOUT
    declared = {key.removeprefix("recipe.") for key in allowed.rules(config) if key.startswith("recipe.")}
    assert settings <= declared
    assert set(config.recipe.get("allowed", {})) <= settings
    about = {"allowed", "search", "tasks", "traits"}
    assert not about & set(checked(config).recipe.values), "they are no part of what a run is"


def test_the_example_of_the_guide_declares_its_own():
    guide = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    file = yaml.safe_load(re.search(r"^```yaml conf/recipe/\S+\n(.*?)^```$", guide, re.MULTILINE | re.DOTALL)[1])
    assert set(file) - ABOUT <= {*allowed.SETTINGS, *file["allowed"], "pretrained"}
    assert all(allowed.allows(rule, file[name]) for name, rule in file["allowed"].items())


@pytest.mark.parametrize("group", ["protocol", "data", "model", "placement", "hparams_search"])
def test_every_number_of_the_other_files_is_declared(group):
    for choice in choices(group):
        config = compose("config", [f"{group}={choice}", *(["placement.main_process_ip=x"] * (choice == "multi_node"))])
        allowed.check(config)
        numbers = {key for key, value in leaves(OmegaConf.to_container(config)) if is_number(value)}
        numbers = {key for key in numbers if not key.startswith(("recipe.", "model.shape."))}
        assert numbers <= set(allowed.rules(config))
        assert {"train.epochs", "measure.batch_sizes"} <= numbers


def leaves(values, prefix=""):
    for name, value in values.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def is_number(value) -> bool:
    values = value if isinstance(value, list) else [value]
    return bool(values) and all(isinstance(one, (int, float)) and not isinstance(one, bool) for one in values)


WRONG = {
    "recipe=torch": {
        "recipe.learning_rate=-1e-3": "recipe.learning_rate=-0.001: give a number above 0.",
        "recipe.learning_rate=1e-4x": "recipe.learning_rate=1e-4x: give a number above 0.",
        "recipe.learning_rate=0": "recipe.learning_rate=0: give a number above 0.",
        "recipe.learning_rate=nan": "recipe.learning_rate=nan: give a number above 0.",
        "recipe.learning_rate=inf": "recipe.learning_rate=inf: give a number above 0.",
        "recipe.learning_rate=null": "recipe.learning_rate=null: give a number above 0.",
        "recipe.learning_rate=[1e-4]": "recipe.learning_rate=[0.0001]: give a number above 0.",
        "recipe.learning_rate='0,0001'": "A decimal point parts a number: 0.0001.",
        "recipe.learning_rate='1e-4'": "It is a text: leave out its quotes.",
        "recipe.warmup=7": "recipe.warmup=7: give a number from 0 to 1.",
        "recipe.betas=[0.9]": "recipe.betas=[0.9]: give 2 numbers from 0 below 1.",
        "recipe.betas=0.9": "recipe.betas=0.9: give 2 numbers from 0 below 1.",
        "recipe.betas.1=1": "recipe.betas=[0.9, 1]: give 2 numbers from 0 below 1.",
        "recipe.max_grad_norm=0": "recipe.max_grad_norm=0: give a number above 0.",
        "recipe.freeze_word_embeddings=1": "recipe.freeze_word_embeddings=1: give true or false.",
        "recipe.pretrained=maybe": "recipe.pretrained=maybe: give true or false.",
        "train.batch_size=-1": "train.batch_size=-1: give a whole number above 0.",
        "data.train_size=1.5": "data.train_size=1.5: give a whole number above 0, or a number above 0 below 1, or",
        "data.split_seed=x": "data.split_seed=x: give a whole number from 0 on.",
        "threads=0": "threads=0: give a whole number above 0, or null.",
        "retries=11": "retries=11: give a whole number from 0 to 10.",
        "limits.memory_gb=inf": "limits.memory_gb=inf: give a number above 0, or null.",
        "model.dropout=true": "model.dropout=true: give a number from 0 below 1, or null.",
    },
    "recipe=tfidf": {
        "recipe.allowed=x": "recipe.allowed=x: it stands in the recipe's file.",
        "recipe.C=-1": "recipe.C=-1: give a number above 0.",
        "recipe.max_iter=1.5": "recipe.max_iter=1.5: give a whole number above 0.",
        "recipe.char_ngrams=[5,2]": "recipe.char_ngrams=[5, 2]: give 2 whole numbers above 0, in order.",
    },
    "recipe=keras": {
        "recipe.backend=thorch": "recipe.backend=thorch: give one of tensorflow, jax, torch.",
        "recipe.bucket_boundaries=[8,x]": "recipe.bucket_boundaries=[8, 'x']: give whole numbers above 0, in order.",
    },
    "recipe=fastai": {
        "recipe.freeze_to=-1": "recipe.freeze_to=-1: give whole numbers from -3 to 2.",
        "recipe.momenta=[1,1,1]": "recipe.momenta=[1, 1, 1]: give 3 numbers from 0 below 1.",
    },
    "recipe=fairseq": {"recipe.max_tokens=0": "recipe.max_tokens=0: give a whole number above 0, or null."},
    "protocol=controlled": {"protocol.learning_rate=0": "protocol.learning_rate=0: give a number above 0."},
    "placement=multi_node": {
        "placement.main_process_port=0": "placement.main_process_port=0: give a whole number from 1 to 65535.",
        "placement.use_cpu=yes": "placement.use_cpu=yes: give true or false.",
    },
}


@pytest.mark.parametrize(("choice", "word"), [(choice, word) for choice, words in WRONG.items() for word in words])
def test_a_wrong_value_is_told_with_what_is_allowed(choice, word):
    with pytest.raises(UserError) as error:
        checked(compose("config", [choice, word]))
    assert WRONG[choice][word] in str(error.value)
    assert error.value.code == 2


@pytest.mark.parametrize(
    "words",
    [
        ["recipe=torch", "recipe.learning_rate=1e38", "recipe.max_grad_norm=1e38", "recipe.warmup=0"],
        ["recipe=torch", "recipe.learning_rate=1", "recipe.weight_decay=0", "recipe.betas=[0,0.999]"],
        ["recipe=fairseq", "recipe.max_grad_norm=0", "recipe.max_tokens=512"],
        ["recipe=fastai", "recipe.freeze_to=[]"],
        ["data.train_size=null", "data.valid_size=0.2", "threads=null", "measure.at_most=inf", "measure.seconds=0"],
        ["model.from_scratch=seed"],
        ["experiment=small_network", "recipe=tfidf"],  # which has no learning_rate but for what the experiment adds
    ],
)
def test_a_value_at_the_end_of_its_range_is_taken(words):
    checked(compose("config", words))
