"""List, build, remove and recompile the environments of the recipes."""

import argparse
import shutil
import sys
import time
from datetime import datetime, timezone
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from harness.base import environments, layout
from harness.base.errors import UserError, guarded
from harness.base.interpreter import normal


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    actions.add_parser("list", help="show each environment: size, build time, age, last use, versions (the default)")
    for action, words in (
        ("build", "build ahead what is not there: all but those for GPUs, or those named"),
        ("compile", "pin anew the packages of all NAME.in, or those named, into NAME.txt (the newest that fit)"),
    ):
        actions.add_parser(action, help=words).add_argument("names", nargs="*", metavar="NAME")
    actions.add_parser("prune", help="remove the environments that no list of this checkout describes any more")
    arguments = parser.parse_args()
    run = {"build": build, "compile": compile_lists, "prune": prune}.get(arguments.action, show)
    names = getattr(arguments, "names", None) or [
        name for name in environments.names() if run is not build or not name.endswith(environments.ON_GPU)
    ]
    if unknown := set(names) - set(environments.names()):
        known = ", ".join(environments.names())
        raise UserError(f"there is no list for {', '.join(sorted(unknown))}; there are {known}.", code=2)
    run(names)


def show(names: list[str]) -> None:
    """Print one line an environment, and one a folder that no list describes."""
    if environments.given():
        for name in names:
            say(f"{name:<16}  {told(name)}")
        return
    current = {environments.folder_of(name): name for name in names}
    for folder, name in current.items():
        if not folder.exists():
            say(f"{name:<16}  not built yet")
    for folder in environments.built():
        record = environments.record(folder)
        name = current.get(folder, f"{record['name']} (old)")
        used = (folder / "environment.json").stat().st_mtime
        built = datetime.fromtimestamp(folder.stat().st_mtime, timezone.utc)
        found = {normal(package): package for package in record["asked"]}  # what a marker leaves out is not there
        versions = ", ".join(
            f"{p} {record['packages'][name]}" for name, p in found.items() if name in record["packages"]
        )
        say(f"{name:<16}  {record['size_mb']:>6,.0f} MB  built {built:%Y-%m-%d} in {record['build_seconds']:.0f} s, "
              f"used {(time.time() - used) / 86400:.0f} days ago: {versions}")  # fmt: skip


def told(name: str) -> str:
    """Return the path of the Python of an environment that somebody else built, or what is wrong with it."""
    try:
        return str(environments.ensure(name).python)
    except UserError as error:
        return error.message.splitlines()[0]


def say(text: str) -> None:
    print("\n".join(layout.wrapped(text, layout.columns())))


def build(names: list[str]) -> None:
    for name in names:
        environments.ensure(name)


def compile_lists(names: list[str]) -> None:
    for name in names:
        environments.compile_list(name)
        print(f"configs/environments/{name}.txt")


def prune(names: list[str]) -> None:
    """Remove what no list describes; another Python's environments of the same lists stay."""
    current = {environments.list_digest(name) for name in names}
    for folder in environments.built():
        record = environments.record(folder)
        if record.get("list") not in current:
            shutil.rmtree(folder)
            print(f"removed {folder} ({record['size_mb']:,.0f} MB)")


if __name__ == "__main__":
    sys.exit(guarded(main))
