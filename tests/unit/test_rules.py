"""The two floors: harness/ imports no deep-learning library, recipes/ imports nothing of the harness."""

import ast
import sys
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from support import RECIPES, ROOT

from harness.config import CONF, checked, variants

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


FLOORS = ["base", "machine", "config", "inputs", "runs", "figures", "results", "use", "sweeps", "main"]


@pytest.mark.parametrize("path", sorted((ROOT / "harness").rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_package_of_the_harness_imports_none_that_stands_above_it(path):
    parts = path.relative_to(ROOT / "harness").with_suffix("").parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "harness":
            package = [*node.module.split(".")[1:], *(alias.name for alias in node.names)][0]
            assert FLOORS.index(package) <= FLOORS.index(parts[0]), f"line {node.lineno}: harness.{package}"


SHARED = {
    "contract",
    "weights",
    "worker",
    "pytorch",
    "on_jax",
    "on_tensorflow",
}  # of recipes/: what a library's room may take


@pytest.mark.parametrize(
    "path", sorted((ROOT / "recipes").glob("*/**/*.py")), ids=lambda path: str(path.relative_to(ROOT))
)
def test_a_room_takes_nothing_of_another_library_s(path):
    room = path.relative_to(ROOT / "recipes").parts[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "recipes":
            names = node.module.split(".")[1:] or [alias.name for alias in node.names]
            assert names[0] in SHARED | {room}, f"line {node.lineno}: recipes.{names[0]}"


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_native_recipe_shows_nothing_of_the_controlled_protocol(recipe):
    assert "controlled" not in (ROOT / "recipes" / recipe / "recipe.py").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", sorted((ROOT / "recipes").rglob("*.py")), ids=lambda path: path.stem)
def test_recipes_import_nothing_of_the_harness(path):
    assert not imported(path) & {"hydra", "omegaconf", "harness"}


@pytest.mark.parametrize("name", ["job", "split", "checkpoints", "frameworks", "schedule"])
def test_the_contract_needs_the_standard_library_and_numpy_only(name):
    allowed = set(sys.stdlib_module_names) | {"numpy", "recipes"}
    assert imported(ROOT / "recipes" / "contract" / f"{name}.py") <= allowed


@pytest.mark.parametrize(
    "name",
    [
        "bootstrap",
        "bytecode",
        "environments",
        "errors",
        "home",
        "interpreter",
        "packages",
        "progress",
        "pythons",
        "uv",
        "wheels",
    ],
)
def test_what_runs_on_a_bare_python_needs_the_standard_library_only(name):
    assert imported(ROOT / "harness" / "base" / f"{name}.py") <= set(sys.stdlib_module_names) | {"harness", "recipes"}


@pytest.mark.parametrize("name", ["__init__", "checkpoints", "seals", "files"])
def test_what_a_bare_python_takes_of_the_recipes_needs_the_standard_library_only_too(name):
    assert imported(ROOT / "recipes" / "contract" / f"{name}.py") <= set(sys.stdlib_module_names) | {"recipes"}


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_is_one_file_that_one_can_read(recipe):
    lines = (ROOT / "recipes" / recipe / "recipe.py").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 120


@pytest.mark.parametrize("words", variants(), ids=" ".join)
def test_a_recipe_has_a_pinned_environment(words):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        recipe = checked(compose("config", words)).recipe
    for ending in ("in", "txt"):
        assert (ROOT / "configs" / "environments" / f"{recipe.environment}.{ending}").exists()


def test_lists_name_no_address():
    for path in (ROOT / "configs" / "environments").iterdir():
        assert "://" not in path.read_text(encoding="utf-8"), path


def test_the_map_of_contributing_names_the_groups_of_conf():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (line,) = (line for line in text.splitlines() if line.startswith("    conf/ "))
    named = set(line.partition(": ")[2].replace("/", "").split())
    assert named == {path.name for path in CONF.iterdir() if path.is_dir()} - {"hydra"}
