"""Write the pages that quote the recipes, and the tables of docs/gpu.md. `--check`: are they true?"""

import argparse
import ast
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from harness.base import bootstrap, environments
from harness.base.errors import UserError, guarded
from harness.runs.code import RECIPES, files
from harness.runs.lines import recipe_lines

README, PAGE, GPU = ROOT / "README.md", ROOT / "docs" / "four_moments.md", ROOT / "docs" / "gpu.md"
MACHINES = ROOT / "outputs" / "reference" / "machines"
SEEN = "<!-- seen: written by scripts/pages.py -->", "<!-- /seen -->"
BEGIN, END = "<!-- recipes: written by scripts/pages.py -->", "<!-- /recipes -->"
MOMENTS = {  # the phases of the contract -> the moment a reader knows
    "build_data": "Build the batch",
    "load_weights": "Define the model",
    "train": "The loop",
    "save": "Save and load",
}
REGISTERED = {"register_task": "build_data", "register_model": "load_weights", "register_lr_scheduler": "train"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail where a page is not what it would be")
    check = parser.parse_args().check
    readme = README.read_text(encoding="utf-8")
    pages = {README: with_table(readme, table(readme, measure=not check)), PAGE: moments()}
    pages[GPU] = with_table(GPU.read_text(encoding="utf-8"), seen(), *SEEN)
    stale = [path for path, text in pages.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    for path in stale:
        if check:
            print(f"{path.relative_to(ROOT)} is stale: run python scripts/pages.py", file=sys.stderr)
        else:
            path.parent.mkdir(exist_ok=True)
            path.write_text(pages[path], encoding="utf-8")
    return 1 if check and stale else 0


def with_table(page: str, rows: list[str], begin: str = BEGIN, end: str = END) -> str:
    before, _, rest = page.partition(begin)
    return "\n".join([before + begin, "", *rows, "", end]) + rest.partition(end)[2]


def seen() -> list[str]:
    """Return the tables of each machine that is kept, the newest first."""
    from harness.results import cells

    folders = sorted(MACHINES.glob("*/"), key=lambda folder: folder.name.split("-", 1)[::-1], reverse=True)
    return [line for folder in folders for line in [f"### {folder.name}", "", *cells.tables(folder)]][:-1]


def table(readme: str, measure: bool) -> list[str]:
    """Return the rows of the README's table; sizes are those of the environments built here, or stay as they are."""
    from harness.config import choices
    from harness.results.traits import docstring

    rows = [
        "| `recipe=` | what | who owns the loop | lines | environment (CPU) | pick it |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name in choices("recipe"):
        what, owner, pick = docstring(name)
        known = re.search(rf"^\| `{name}` \|.*\| ([^|]*) \| [^|]* \|$", readme, re.MULTILINE)
        size = known[1] if known else "?"
        if measure:
            size = sizes(name) or size
        rows.append(f"| `{name}` | {what} | {owner} | {recipe_lines(name)} | {size} | {pick} |")
    return rows


def sizes(name: str) -> str | None:
    """Return the sizes of a recipe's environments that are built here, in words; None if one is not."""
    from harness.config import recipes_environments

    found = []
    for environment in recipes_environments(name):
        folder = environments.folder_of(environment)
        if environments.given() or not folder.exists():
            return None
        label = environment.removeprefix(f"{name}_")
        megabytes = environments.record(folder)["size_mb"]
        found.append(f"{megabytes / 1000:.1f} GB" + (f" ({label})" if label != environment else ""))
    return ", ".join(found)


def source(name: str) -> str:
    return (RECIPES / name / "recipe.py").read_text(encoding="utf-8")


def moments() -> str:
    """Return the page that sets the same four moments of every library side by side."""
    from harness.config import choices, variants
    from harness.results.traits import docstring

    names = [name for name in choices("recipe") if [f"recipe={name}"] in variants()]
    parts = [
        "# Four moments in every library\n",
        "The same job, the same four moments: excerpts of the recipes, taken from them by `scripts/pages.py`. What",
        "several recipes share stands once, at the end of its section.\n",
    ]
    for phase, title in MOMENTS.items():
        parts += [f"## {title}\n"]
        shared: dict[str, dict[str, str]] = {}
        for name in names:
            own, room, others = excerpt(name, phase)
            if others:
                shared.setdefault(room, {}).update(others)
            title_of = docstring(name)[0]
            parts += [
                f"### {title_of}: [recipes/{name}/recipe.py](../recipes/{name}/recipe.py)\n",
                f"```python\n{own}\n```\n",
            ]
        for room, taken in shared.items():
            parts += [f"### Shared: [recipes/{room}/](../recipes/{room}/)\n"]
            parts += ["```python\n" + "\n\n\n".join(taken.values()) + "\n```\n"]
    return "\n".join(parts)


def excerpt(name: str, phase: str) -> tuple[str, str, dict[str, str]]:
    """Return a recipe's code of a phase with what that names of its files, and the room and code of what it shares."""
    text = source(name)
    tree = ast.parse(text)
    own = {key: code for path in files(name) for key, code in definitions(path.read_text(encoding="utf-8")).items()}
    room, imported = shared_room(name, tree)
    texts = [path.read_text(encoding="utf-8") for path in sorted((RECIPES / room).glob("*.py"))] if room else []
    shared = {key: code for text in texts for key, code in definitions(text).items()}
    block = phase_block(tree, phase)
    if block is None:
        raise UserError(f"recipes/{name}/recipe.py has no `with job.phase({phase!r})` in finetune.")
    lines = text.splitlines()[block.body[0].lineno - 1 : block.end_lineno]
    indent = min(len(line) - len(line.lstrip()) for line in lines if line.strip())
    used = named(block)
    used |= {native for seam, native in seams(tree).items() if seam in used}
    pieces = ["\n".join(line[indent:] for line in lines)]
    if phase == "save":
        used |= {"load"}
        if "load" in imported:  # shared: with what it names there
            used |= named(ast.parse(shared["load"]))
            imported |= used
    used |= {
        key for key, code in own.items() for word in REGISTERED if REGISTERED[word] == phase and f"@{word}(" in code
    }
    pieces += [code for key, code in own.items() if key in used and key not in ("finetune", "predictor")]
    taken = {key: code for key, code in shared.items() if key in used & imported - {"predictor"}}
    return "\n\n\n".join(pieces), room, taken


def shared_room(name: str, tree: ast.Module) -> tuple[str, set[str]]:
    """Return the room of what a recipe shares with others on its framework, and the names that it takes from there."""
    found: dict[str, set[str]] = {}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("recipes."):
            room = node.module.split(".")[1]  # type: ignore[union-attr]
            if room not in {name, "contract", "weights"}:
                found.setdefault(room, set()).update(alias.name for alias in node.names)
    return next(iter(found.items()), ("", set()))


def phase_block(tree: ast.Module, phase: str) -> ast.With | None:
    """Return the statement `with job.phase(PHASE):` of a recipe."""
    for node in ast.walk(tree):
        if isinstance(node, ast.With) and any(
            isinstance(call := item.context_expr, ast.Call)
            and isinstance(call.func, ast.Attribute)
            and call.func.attr == "phase"
            and isinstance(call.args[0], ast.Constant)
            and call.args[0].value == phase
            for item in node.items
        ):
            return node
    return None


def seams(tree: ast.Module) -> dict[str, str]:
    """Return the parameters of finetune that may be given another function, and the name of the native one of each."""
    (finetune,) = (node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "finetune")
    given = zip(reversed(finetune.args.args), reversed(finetune.args.defaults), strict=False)
    return {parameter.arg: default.id for parameter, default in given if isinstance(default, ast.Name)}


def named(node: ast.AST) -> set[str]:
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}


def definitions(text: str) -> dict[str, str]:
    """Return the source of each function and class at the top level of a module."""
    found = {}
    for node in ast.parse(text).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            found[node.name] = "\n".join(text.splitlines()[first - 1 : node.end_lineno])
    return found


if __name__ == "__main__":
    bootstrap.enter()
    sys.exit(guarded(main))
