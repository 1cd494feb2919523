"""The two floors: harness/ imports no deep-learning library, recipes/ imports nothing of the harness."""

import ast
import sys
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from support import RECIPES, ROOT

from harness.config import CONF, plain, variants

LIBRARIES = {
    "torch", "tensorflow", "keras", "keras_hub", "jax", "flax", "transformers", "accelerate", "fastai", "flair",
    "fairseq", "mxnet", "trax", "sonnet",
}  # fmt: skip
HARNESS = [ROOT / "train.py", *(ROOT / "scripts").glob("*.py"), *(ROOT / "harness").rglob("*.py")]


def imported(path: Path) -> set[str]:
    """Return the top-level names of all modules a file imports, wherever in it the import stands."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add((node.module or "").split(".")[0])
    return names


@pytest.mark.parametrize("path", HARNESS, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_harness_imports_no_deep_learning_library(path):
    assert not imported(path) & LIBRARIES


@pytest.mark.parametrize("path", sorted((ROOT / "recipes").rglob("*.py")), ids=lambda path: path.stem)
def test_recipes_import_nothing_of_the_harness(path):
    assert not imported(path) & {"hydra", "omegaconf", "harness"}


@pytest.mark.parametrize("name", ["job", "worker"])
def test_the_contract_needs_the_standard_library_and_numpy_only(name):
    allowed = set(sys.stdlib_module_names) | {"numpy", "recipes"}
    assert imported(ROOT / "recipes" / f"{name}.py") <= allowed


@pytest.mark.parametrize("name", ["bootstrap", "environments", "errors", "home", "interpreter", "progress"])
def test_what_runs_on_a_bare_python_needs_the_standard_library_only(name):
    assert imported(ROOT / "harness" / f"{name}.py") <= set(sys.stdlib_module_names) | {"harness", "recipes"}


@pytest.mark.parametrize("name", ["__init__", "checkpoints", "seals"])
def test_what_a_bare_python_takes_of_the_recipes_needs_the_standard_library_only_too(name):
    assert imported(ROOT / "recipes" / f"{name}.py") <= set(sys.stdlib_module_names) | {"recipes"}


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_is_one_file_that_one_can_read(recipe):
    lines = (ROOT / "recipes" / f"{recipe}.py").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 180


@pytest.mark.parametrize("words", variants(), ids=" ".join)
def test_a_recipe_has_a_pinned_environment(words):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        recipe = plain(compose("config", words))["recipe"]
    for ending in ("in", "txt"):
        assert (ROOT / "configs" / "environments" / f"{recipe['environment']}.{ending}").exists()


def test_lists_name_no_address():
    for path in (ROOT / "configs" / "environments").iterdir():
        assert "://" not in path.read_text(encoding="utf-8"), path
