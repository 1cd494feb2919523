"""Bytecode that environments share: linked where the file is the same one, compiled where it is not."""

import os
import re
import subprocess
import sys
from importlib.util import cache_from_source
from pathlib import Path

from harness.base import bytecode


def written(site: Path, **modules: str) -> None:
    for name, text in modules.items():
        path = site / "package" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def compiled(site: Path, name: str) -> Path:
    return Path(cache_from_source(str(site / "package" / f"{name}.py")))


def test_what_another_has_compiled_of_the_same_file_is_linked_and_all_else_compiled(tmp_path):
    first, second, python = tmp_path / "first", tmp_path / "second", Path(sys.executable)
    written(first, same="def f(): return 1", alike="def f(): return 2", gone="def f(): return 3")
    bytecode.compile_all(python, first, [])
    compiled(first, "gone").unlink()
    written(second, alike="def f(): return 4", own="def f(): return 5", template="def {{ name }}():")
    for name in ("same", "gone"):
        os.link(first / "package" / f"{name}.py", second / "package" / f"{name}.py")
    os.utime(second / "package" / "alike.py", ns=(0, (first / "package" / "alike.py").stat().st_mtime_ns))

    bytecode.compile_all(python, second, [tmp_path / "removed meanwhile", first])

    shared = {path.name for path in compiled(second, "same").parent.iterdir() if path.stat().st_nlink > 1}
    assert shared == {compiled(second, "same").name}
    assert not compiled(second, "template").exists()
    code = "import sys; sys.path.insert(0, sys.argv[1]); from package import same, alike, gone, own\n"
    code += "for module in (same, alike, gone, own): print(module.f(), module.f.__code__.co_filename)"
    said = subprocess.run([python, "-v", "-c", code, second], capture_output=True, text=True, check=True)
    assert said.stdout.splitlines() == [
        f"{number} {second}/package/{name}.py" for number, name in ((1, "same"), (4, "alike"), (3, "gone"), (5, "own"))
    ]
    assert not re.search(r"code object from '[^']*/package/\w+\.py'", said.stderr), "all was compiled before"
