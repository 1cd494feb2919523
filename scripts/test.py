"""Run the checks and the tests: format, lint, types, unit tests, and each recipe with its real library."""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from harness.base import bootstrap, environments
from harness.base.errors import guarded

NOTHING = 5  # pytest's exit code where no test was chosen
CHECKS = (["ruff", "format", "--check", "--quiet"], ["ruff", "check", "--quiet"], ["mypy", "--no-error-summary"])


def main() -> int:
    arguments, for_pytest = parse()
    failed = []
    with ThreadPoolExecutor(2) as pool:  # no more: each links what those before it compiled
        names = [name for name in environments.names() if not name.endswith(environments.ON_GPU)]
        slowest_first = sorted(names, key=lambda name: name != "fairseq")  # it builds C++, for minutes
        wanted = [] if arguments.quick else slowest_first
        built = pool.map(environments.ensure, wanted)
        if wanted:
            failed = [" ".join(check) for check in CHECKS if run([*check, "."] if check[0] == "ruff" else check)]
        codes = [tested("tests/unit", *for_pytest)]
        list(built)  # a failure is told here
    if wanted:
        codes.append(tested("tests/recipes", "-m", "" if arguments.all else "not thorough", *for_pytest))
    if set(codes) - {0, NOTHING} or set(codes) == {NOTHING}:
        failed.append("pytest")
    print(f"failed: {', '.join(failed)}" if failed else "all passed", flush=True)
    return 1 if failed else 0


def tested(folder: str, *for_pytest: str) -> int:
    """Run the tests of a folder, and name the slowest; return pytest's exit code."""
    at_once = (os.cpu_count() or 1) + 1  # a run often waits, for a disk or for another process to end
    return run(["pytest", folder, f"--numprocesses={at_once}", "--dist=worksteal", "--durations=10", *for_pytest])


def parse() -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(description=__doc__, epilog="Other arguments go to pytest.", allow_abbrev=False)
    parser.add_argument("--quick", action="store_true", help="the unit tests alone: seconds")
    parser.add_argument("--all", action="store_true", help="those too that go over what others cover for fewer recipes")
    parser.add_argument("--fresh", action="store_true", help="with all environments built anew, in a temporary place")
    return parser.parse_known_args()


def run(module: list[str]) -> int:
    """Run a Python module with its arguments in the root of the repository; return its exit code."""
    return subprocess.run([sys.executable, "-m", *module], cwd=ROOT, check=False).returncode


def fresh() -> int:
    """Run the tests again with an empty home for all that is built; clear it after."""
    place = tempfile.mkdtemp(prefix="finetune-recipes-")
    words = [word for word in sys.argv if word != "--fresh"]
    try:
        environment = {**os.environ, "FINETUNE_RECIPES_HOME": place}
        return subprocess.run([sys.executable, *words], env=environment, check=False).returncode
    finally:
        shutil.rmtree(place, ignore_errors=True)


if __name__ == "__main__":
    if parse()[0].fresh:
        sys.exit(guarded(fresh))
    bootstrap.enter("tests")
    sys.exit(guarded(main))
