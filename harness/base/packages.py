"""Files that a pinned package of the registry carries: fetched once, without what the package depends on."""

import sys
from pathlib import Path

from harness.base import progress, uv
from harness.base.errors import UserError
from harness.base.home import build_beside, home, new_log, sha256


def folder_of(requirement: str) -> Path:
    """Return where the package that `requirement` (NAME==VERSION) pins is or will be."""
    return home() / "packages" / requirement.replace("==", "-")


def carried(requirement: str, file: str, digest: str, python: str | None = None) -> Path:
    """Return the path of `file` in the package that `requirement` (NAME==VERSION) pins, fetched if it is not there.

    `python` is the version that the package asks for, where it is not this one: none of its code is run. `digest` is
    the SHA-256 the file must have; it is checked once. Raises UserError when it differs, when the package has no such
    file, and when it cannot be fetched.
    """
    folder = folder_of(requirement)
    with build_beside(folder, f"fetching {requirement}") as building:
        if building is not None:
            target = ["--target", str(building), "--python", sys.executable]
            target += ["--python-version", python, "--only-binary", ":all:"] if python else []
            with progress.step(f"fetching {requirement}"):
                uv.run(["pip", "install", "--no-deps", *target, requirement], new_log(folder.name))
    path, checked = folder / file, folder / f".checked-{digest[:16]}"
    if not path.is_file():
        raise UserError(f"{requirement} has no file {file}.\nDelete the folder {folder} and try again.")
    if not checked.exists():
        found = sha256(path)
        if found != digest:
            raise UserError(
                f"{path} is not the file it should be (sha256 {found}, expected {digest}).\n"
                f"Delete the folder {folder} and try again."
            )
        checked.touch()
    return path
