"""The pages that quote the recipes are what the recipes are now."""

import subprocess
import sys

import pytest
from support import DEEP, RECIPES, ROOT


def test_the_pages_are_true():
    done = subprocess.run(
        [sys.executable, ROOT / "scripts/pages.py", "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_table_has_every_recipe_and_its_environment_s_size(recipe):
    (row,) = [
        line
        for line in (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
        if line.startswith(f"| `{recipe}` | ") and " GB" in line and line.count("|") == 7
    ]
    assert int(row.split("|")[4]) > 30


@pytest.mark.parametrize("recipe", DEEP)
def test_each_moment_quotes_every_library(recipe):
    page = (ROOT / "docs" / "four_moments.md").read_text(encoding="utf-8")
    assert page.count(f"[recipes/{recipe}/recipe.py]") == page.count("\n## ") == 4
