"""Compile an environment's modules, but for those that another environment has compiled already: these are linked.

uv gives all environments one copy of a file, as hard links. So a file is the same in two of them where it is the same
inode, and its bytecode holds for both (Python takes the path from where it imports). Standard library only.
"""

import os
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from harness.base import output


def compile_all(python: Path, site: Path, others: Sequence[Path]) -> None:
    """Give each module of the folder `site` its bytecode; `others`: such folders of other environments.

    Before it is first used, so that no first run is timed while its library is compiled. What is no Python of this
    version, as the templates of some packages, stays without.
    """
    tag = output.answer([python, "-c", "import sys; print(sys.implementation.cache_tag)"]).stdout.strip()
    missing = [module for module in modules(site) if not linked(module, site, others, tag)]
    command, at_once = [str(python), "-m", "compileall", "-qq", "-i", "-"], os.cpu_count() or 1

    def compiled(some: list[str]) -> None:
        subprocess.run(command, input=os.fsencode("\n".join(some)), capture_output=True, check=False)

    shares = [missing[number::at_once] for number in range(min(at_once, len(missing)))]  # given none, it compiles all
    with ThreadPoolExecutor(at_once) as pool:  # compileall's own -j is for folders
        list(pool.map(compiled, shares))


def modules(site: Path) -> Iterator[str]:
    """Return the paths of all Python files below a folder."""
    for folder, _, files in os.walk(site):
        for name in files:
            if name.endswith(".py"):
                yield os.path.join(folder, name)


def linked(module: str, site: Path, others: Iterable[Path], tag: str) -> bool:
    """Link the bytecode of a module from the first of the others that has the same file, compiled; tell if one has.

    `tag`: what a Python has in the names of its bytecode, such as cpython-310: that of another is another file.
    """
    folder, name = os.path.split(module)
    compiled = os.path.join(folder, "__pycache__", f"{name.removesuffix('.py')}.{tag}.pyc")
    for other in others:
        with suppress(OSError):
            if os.path.samefile(inside(other, module, site), module):
                os.makedirs(os.path.dirname(compiled), exist_ok=True)
                os.link(inside(other, compiled, site), compiled)
                return True
    return False


def inside(other: Path, path: str, site: Path) -> str:
    """Return where a path below `site` is in another such folder."""
    return f"{other}{path.removeprefix(str(site))}"
