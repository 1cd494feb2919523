"""The example of CONTRIBUTING.md, followed to the letter in a copy of the repository."""

import json
import re
import shutil
import subprocess
import sys

from support import ROOT, SMALL


def test_the_three_files_of_the_example_are_a_recipe(tmp_path):
    copy = tmp_path / "copy"
    skipped = shutil.ignore_patterns(".git", "outputs", "__pycache__", ".*_cache")
    shutil.copytree(ROOT, copy, ignore=skipped)
    guide = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    files = re.findall(r"^```\w+ (\S+)\n(.*?)^```$", guide, re.MULTILINE | re.DOTALL)
    assert len(files) == 3
    for name, text in files:
        (copy / name).parent.mkdir(exist_ok=True)
        (copy / name).write_text(text, encoding="utf-8")
    command = re.search(r"`python (scripts/environments.py compile \w+)`", guide)[1].split()
    subprocess.run([sys.executable, *command], cwd=copy, check=True)
    run = re.search(r"`python (train.py recipe=\w+)` runs it", guide)[1].split()
    subprocess.run([sys.executable, *run, *SMALL], cwd=copy, check=True)
    (result,) = (copy / "outputs").glob("*/[!.]*/result.json")
    row = json.loads(result.read_text(encoding="utf-8"))
    assert row["status"] == "finished"
    assert row["library_versions"].startswith("lightgbm==4.")
    assert row["test.accuracy"] > 0.3
    weighed = [sys.executable, "scripts/choose.py", "--results", "outputs", "--aim", "from_scratch", "--json"]
    answer = json.loads(subprocess.run(weighed, cwd=copy, check=True, capture_output=True, text=True).stdout)
    best = answer["libraries"][0]
    assert (best["name"], best["rank"], best["on_front"]) == ("lightgbm", 1, True)  # the one that is measured
    assert best["reasons"][1]["date"] and best["command"] == "python train.py recipe=lightgbm data=job_titles"
