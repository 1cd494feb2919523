"""The digest of the code that a run executes: which files it is of, and the revision beside it."""

import modulefinder
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from support import RECIPES, ROOT

from harness import config
from harness.base import environments
from harness.base.errors import UserError
from harness.runs import code, prepare
from harness.runs.lines import recipe_lines
from harness.sweeps import look
from harness.sweeps.record import Record, Run, tell
from harness.use import run


def imports(recipe: str, package: str) -> bool:
    """Tell whether a file of a recipe's room names a package."""
    return any(package in path.read_text(encoding="utf-8") for path in (ROOT / "recipes" / recipe).glob("*.py"))


EVERYONE = {
    "worker/main.py", "worker/ranks.py", "worker/inference.py", "worker/peak.py", "contract/job.py",
    "contract/split.py", "contract/checkpoints.py", "__init__.py",
}  # fmt: skip
EXECUTED_BY = {  # whom an edit of a file concerns; None: all
    "worker/main.py": None,
    "contract/split.py": None,
    "torch/recipe.py": {"torch"},
    "torch/controlled.py": set(),  # of a native run
    "keras/callbacks.py": {"keras"},
    "keras/weights.py": {"keras"},
    "fairseq/weights.py": {"fairseq"},
    "fairseq/user/text_classification/task.py": {"fairseq"},
    "pytorch/batches.py": {name for name in RECIPES if imports(name, "recipes.pytorch")},
    "onnx.py": set(),
    "jax/stablehlo.py": set(),
    "on_tensorflow/saved_model.py": set(),
    "on_tensorflow/batches.py": {"keras", "sonnet", "tensorflow"},
    "worker/export.py": set(),
    "reference/controlled.py": set(),
}


@pytest.fixture
def recipes(tmp_path, monkeypatch):
    """A copy of recipes/ to edit."""
    copy = tmp_path / "recipes"
    shutil.copytree(ROOT / "recipes", copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(code, "RECIPES", copy)
    return copy


def edit(path: Path) -> None:
    path.write_text(path.read_text(encoding="utf-8") + "# edited\n", encoding="utf-8")


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_files_are_those_that_python_s_own_finder_reaches_and_those_loaded_by_path(recipe):
    reached = set()
    for start in ("worker.__main__", "worker.ranks", f"{recipe}.recipe"):
        finder = modulefinder.ModuleFinder([str(ROOT)])
        finder.find_module = only_recipes(finder.find_module)
        finder.import_hook(f"recipes.{start}")
        files = [Path(one.__file__) for one in finder.modules.values() if one.__file__]
        reached |= {path / "__init__.py" if path.is_dir() else path for path in files}
    loaded = (ROOT / "recipes" / recipe).glob("*/**/*.py")
    assert set(code.executed(recipe, "native")) == reached | set(loaded)
    assert {str(path.relative_to(ROOT / "recipes")) for path in reached} >= EVERYONE


def only_recipes(find):
    """Return the finder's search, which looks at no library: those are not here."""

    def looked(name, path, parent=None):
        if name not in ("recipes", "__init__") and not (parent and parent.__name__.split(".")[0] == "recipes"):
            raise ImportError(name)
        return find(name, path, parent)

    return looked


@pytest.mark.parametrize(("file", "whom"), EXECUTED_BY.items(), ids=EXECUTED_BY)
def test_an_edit_changes_the_digest_of_those_alone_that_execute_the_file(recipes, file, whom):
    before = {recipe: code.digest(recipe, "native") for recipe in RECIPES}
    edit(recipes / file)
    changed = {recipe for recipe in RECIPES if code.digest(recipe, "native") != before[recipe]}
    assert changed == (set(RECIPES) if whom is None else whom)
    assert all(code.is_still(before[recipe], recipe, "native") == (recipe not in changed) for recipe in RECIPES)


def test_what_an_editor_or_python_leaves_is_no_code(recipes):
    before, lines = code.digest("fairseq", "native"), recipe_lines("fairseq")
    user = recipes / "fairseq" / "user"
    shutil.copytree(user / "text_classification", user / "__pycache__")
    (user / ".task.py.swp").write_bytes(b"\xff")
    assert (code.digest("fairseq", "native"), recipe_lines("fairseq")) == (before, lines)


def test_each_protocol_has_the_code_that_it_executes(recipes):
    before = {protocol: code.digest("torch", protocol) for protocol in ("native", "controlled")}
    edit(recipes / "torch" / "controlled.py")
    assert code.digest("torch", "native") == before["native"]
    assert code.digest("torch", "controlled") != before["controlled"]


@pytest.mark.parametrize(
    "line",
    ["from . import parts", "from .parts import x", "import recipes.mine.parts as parts",
     "def f():\n    from recipes.mine import parts", "import importlib\nimportlib.import_module('recipes.mine.parts')"],
)  # fmt: skip
def test_every_way_to_import_is_followed(recipes, line):
    (recipes / "mine").mkdir()
    (recipes / "mine" / "recipe.py").write_text(f"{line}\n", encoding="utf-8")
    (recipes / "mine" / "parts.py").write_text("x = 1\n", encoding="utf-8")
    assert recipes / "mine" / "parts.py" in code.executed("mine", "native")


def test_code_that_cannot_be_read_is_told_before_any_work(recipes, cli, tmp_path):
    before = code.digest("torch", "native")
    (recipes / "pytorch" / "batches.py").write_text("import torch\ndef broken(:\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"batches\.py, line 2: .*: def broken\(:"):
        code.digest("torch", "native")
    assert not code.is_still(before, "torch", "native")
    done = cli("recipe=tfidf", "recipe.name=nosuch", "data=onet")
    assert (done.returncode, done.stderr) == (2, "error: recipe.name=nosuch: there is no recipes/nosuch/recipe.py.\n")
    assert not (tmp_path / "outputs").exists()


def values(*words: str) -> config.Settings:
    with initialize_config_dir(str(config.CONF), version_base="1.3"):
        return config.checked(compose("config", ["recipe=tfidf", "data=onet", *words]))


def test_an_edited_recipe_is_another_run_and_another_s_edit_is_not(recipes, tmp_path):
    chosen = values(f"outputs={tmp_path / 'outputs'}")
    before = prepare.prepare(chosen).directory
    edit(recipes / "torch" / "recipe.py")
    assert prepare.prepare(chosen).directory == before
    edit(recipes / "tfidf" / "recipe.py")
    assert prepare.prepare(chosen).directory != before


def test_why_a_run_is_done_again_is_said_and_the_row_has_what_it_was(recipes, tmp_path, monkeypatch, capsys):
    words = [f"outputs={tmp_path / 'outputs'}", "seed=3"]

    def none(*_) -> None:
        raise UserError("no environment")

    def none_and_another_edit(*_) -> None:
        edit(recipes / "contract" / "job.py")
        raise UserError("no environment")

    monkeypatch.setattr(environments, "of", none)
    before = run.run(values(*words), "command")
    edit(recipes / "tfidf" / "recipe.py")
    monkeypatch.setattr(environments, "of", none_and_another_edit)
    now = run.run(values(*words), "command")
    said = capsys.readouterr().err
    assert re.search(r"the code of recipe=tfidf was edited since tfidf-native-seed3-\w+ \(failed\): another run", said)
    assert "edited meanwhile: the result is told as of that it began with" in said
    assert before["code_digest"] == before["identity.code"] != now["code_digest"] != code.digest("tfidf", "native")
    assert (now["identity.seed"], now["identity.recipe.C"], now["recipe.lines"]) == (3, 30.0, recipe_lines("tfidf"))
    assert now["identity_digest"] != before["identity_digest"]
    assert before["ended"] <= now["ended"]
    assert before["revision"] == code.revision()


def test_runs_of_a_sweep_that_start_after_an_edit_are_found_where_they_are(recipes, tmp_path):
    """Those that are done are of the code before; the sweep started again later, of code as before, does them all."""
    outputs = tmp_path / "outputs"
    chosen = values(f"outputs={outputs}")
    folder = prepare.prepare(chosen).directory
    sweep = Record(["-m"], [Run(["recipe=tfidf"], str(folder.relative_to(outputs)), {})])
    place, text = sweep.write(outputs), (recipes / "tfidf" / "recipe.py").read_text(encoding="utf-8")
    edit(recipes / "tfidf" / "recipe.py")
    tell(chosen, ["recipe=tfidf"], place)
    done = prepare.prepare(chosen).directory
    done.mkdir(parents=True)
    (done / "result.json").write_text('{"status": "finished"}', encoding="utf-8")
    assert [one.status for one in look.look(place)] == ["finished"]
    (recipes / "tfidf" / "recipe.py").write_text(text, encoding="utf-8")
    sweep.write(outputs)
    assert [one.status for one in look.look(place)] == ["not started"]


def test_the_revision_is_marked_where_the_code_differs_from_it(tmp_path, monkeypatch):
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=b"]
    for name in ("recipes/worker/main.py", "harness/use/run.py", "README.md"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x = 1\n", encoding="utf-8")
    monkeypatch.setattr(code, "ROOT", tmp_path)
    assert code.revision() is None, "no checkout"
    (tmp_path / ".gitignore").write_text("*\n", encoding="utf-8")
    for words in (["init", "-q"], ["add", "-f", ".gitignore"], ["commit", "-qm", "somebody's"]):
        subprocess.run([*git, *words], check=True)
    assert code.revision() is None, "a copy in a repository that knows nothing of it"
    for words in (["add", "-f", "."], ["commit", "-qm", "ours"]):
        subprocess.run([*git, *words], check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    edit(tmp_path / "README.md")
    assert code.revision() == head[:12]
    edit(tmp_path / "harness" / "use" / "run.py")
    assert code.revision() == f"{head[:12]}-dirty"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert code.revision() is None, "no git"
