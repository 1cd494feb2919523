"""The code that a run executes: which files of recipes/ that are, a digest of them, and the revision they are of."""

import ast
import hashlib
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from harness.base import output
from harness.base.errors import UserError
from harness.base.home import ROOT

RECIPES = ROOT / "recipes"
STARTS = ("recipes.worker.__main__", "recipes.worker.ranks")  # what launches every recipe
DIGITS = 12  # of a digest that people read and type


def digest(recipe: str, protocol: str) -> str:
    """Return a digest of the names and bytes of all files that a run of the recipe executes."""
    found = hashlib.sha256()
    for path in executed(recipe, protocol):
        found.update(
            f"{path.relative_to(RECIPES).as_posix()} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode()
        )
    return found.hexdigest()[:DIGITS]


def is_still(before: str, recipe: str, protocol: str) -> bool:
    """Tell whether the digest of a recipe is what it was before; code that cannot be read any more is other code."""
    try:
        return digest(recipe, protocol) == before
    except (UserError, OSError):
        return False


def executed(recipe: str, protocol: str) -> list[Path]:
    """Return the files of recipes/ that a run executes: what imports reach from the worker and from the recipe.

    Imports are taken from the text, wherever they stand in a file, and so are modules named by a string. What a recipe
    loads by path stands in a folder within its room, such as fairseq/user/.
    """
    room = RECIPES / recipe
    module = "controlled" if protocol == "controlled" else "recipe"
    if not (room / f"{module}.py").is_file():
        raise UserError(f"recipe.name={recipe}: there is no recipes/{recipe}/{module}.py.", code=2)
    todo = [path for name in (f"recipes.{recipe}.{module}", *STARTS) for path in _files(name)]
    loaded = [path for path in room.glob("*/**/*") if "__pycache__" not in path.parts]
    todo += [path for path in loaded if not path.name.startswith(".")]  # of an editor
    found = set()
    while todo:
        path = todo.pop()
        if path in found or not path.is_file():
            continue
        found.add(path)
        if path.suffix == ".py":
            todo += [other for name in _named(path) for other in _files(name)]
    return sorted(found)


def files(recipe: str, protocol: str = "native") -> list[Path]:
    """Return the files that make a recipe: of those it executes, the ones in its own room."""
    return [path for path in executed(recipe, protocol) if path.is_relative_to(RECIPES / recipe)]


def _files(module: str) -> list[Path]:
    """Return the files that are executed when a module of recipes/ is imported; of no such module those of its package.

    The first is recipes/__init__.py itself.
    """
    found, folder = [RECIPES / "__init__.py"], RECIPES
    for name in module.split(".")[1:]:
        here = folder / f"{name}.py"
        folder = folder / name
        found += [path for path in (folder / "__init__.py", here) if path.is_file()][:1]
    return found


def _named(path: Path) -> set[str]:
    """Return the modules of recipes/ that a file names."""
    package = ".".join(["recipes", *path.relative_to(RECIPES).parent.parts])
    try:
        return _modules(path.read_bytes(), package)
    except SyntaxError as error:
        raise UserError(f"{path}, line {error.lineno}: {error.msg}: {(error.text or '').strip()}") from None


@lru_cache
def _modules(text: bytes, package: str) -> set[str]:
    """Return the modules of recipes/ that a text of `package` names; cached, as a sweep asks for each of its runs."""
    return set(_walked(ast.parse(text), package))


def _walked(tree: ast.AST, package: str) -> Iterator[str]:
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
            module = ".".join([*parts, *([node.module] if node.module else [])])
            names = [f"{module}.{alias.name}" for alias in node.names]  # a module of it, or else a name in it
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names = re.findall(r"^recipes(?:\.\w+)+$", node.value)
        yield from (name for name in names if name.split(".")[0] == "recipes")


def revision() -> str | None:
    """Return the revision of git that the checkout is at, with `-dirty` where recipes/ or harness/ differ from it.

    None outside a checkout, where git is missing, and where the files are not its own: a copy in another repository.
    """
    head, tracked = _git("rev-parse", f"--short={DIGITS}", "HEAD"), _git("ls-files", "recipes/worker/main.py")
    if not head or not tracked:
        return None
    return f"{head}-dirty" if _git("status", "--porcelain", "--", "recipes", "harness") else head


def _git(*words: str) -> str | None:
    """Return what git says of the checkout; None where it cannot tell."""
    try:
        command = ["git", "--no-optional-locks", "-C", str(ROOT), *words]
        done = output.answer(command)
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None
