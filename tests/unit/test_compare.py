"""scripts/compare.py on made-up results: tables, rules, pairs, and the files it writes."""

import base64
import csv
import re
import shutil
import subprocess
import sys
import tarfile
from xml.etree import ElementTree

import numpy as np
import pytest
from results_support import MACHINE, row, several, write

from harness.base.errors import answered
from harness.results import reading
from harness.results.compare import against, same, statistics
from harness.results.compare.analysis import analyse
from scripts import compare as script

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome", "chrome-headless-shell")
BROWSER = next((found for found in map(shutil.which, BROWSERS) if found), None)


def changes(recipe: str, seed: int) -> dict:
    """Return times that differ by recipe, and one run that failed."""
    slower = {"keras": 2.0}.get(recipe, 1.0) * (1 + seed / 100)
    failed = {"status": "failed", "reason": "no memory left"} if (recipe, seed) == ("fastai", 4) else {}
    return {"train__seconds": 40 * slower, "inference__batch1__p50_ms": 8 * slower, **failed}


def test_pairs_are_told_apart_where_they_differ_and_what_could_have_been_shown_where_not(compare, tmp_path):
    several(tmp_path / "outputs", {"torch": 0.5, "flair": 0.5, "keras": 1.2, "fastai": 0.5}, change=changes)
    files = [tmp_path / f"table{ending}" for ending in (".md", ".tex", ".csv")]
    said = compare(*(word for path in files for word in ("--out", str(path))))
    assert re.search(r"keras – torch +5 +\+0\.\d+ .* 0\.0\d+ +0\.00 +keras is better", said)
    assert re.search(
        r"(torch – flair|flair – torch) .* no difference shown; 0\.\d+ would have been, 80% of the time", said
    )
    assert re.search(r"keras – fastai +4 +\+0\.\d+ .* 0\.\d+ +takes 5 runs +keras is better", said)
    assert re.search(r"fastai +4\* \+ 1 failed ", said)
    assert "5 runs of each, each with a seed of its own: fastai has 4 (marked *)." in said
    assert "Failed runs are counted: 1 of 20; fastai seed 4 failed: no memory left." in said
    markdown, latex = (path.read_text(encoding="utf-8") for path in files[:2])
    assert "| keras – " in markdown
    assert "fastai & 4* + 1 failed &" in latex
    assert not re.search(r"(?<!\\)[_%#]", re.sub(r"^%.*$|\$\\varepsilon\$", "", latex, flags=re.MULTILINE))
    assert len(re.findall(r"\\begin{", latex)) == len(re.findall(r"\\end{", latex))
    with open(files[2], encoding="utf-8") as handle:
        lines = list(csv.DictReader(handle))
    pairs = [line for line in lines if line["what"] == "difference"]
    assert len(pairs) == 6
    assert {line["others"] if line["ours"] == "keras" else line["runs"] for line in pairs if not line["epsilon"]} == {
        "fastai", "4",
    }  # fmt: skip
    assert {line["ours"] for line in pairs if float(line["p_holm"]) < 0.05} == {"keras"}
    ratio = next(
        line for line in lines if (line["figure"], line["others"], line["what"]) == ("train.seconds", "torch", "ratio")
    )
    assert (ratio["ours"], float(ratio["value"])) == ("keras", pytest.approx(2))
    assert 1.9 < float(ratio["low"]) < 2 < float(ratio["high"]) < 2.1


def test_rules_keep_protocols_apart_seeds_single_and_noisy_times_out(compare, tmp_path):
    outputs = tmp_path / "outputs"
    several(outputs, {"torch": 0.5, "flair": 0.5}, rows=60)
    several(outputs, {"torch": 0.5}, rows=60, change=lambda *_: {"protocol": "controlled", "timing": "noisy"})
    again = row("torch", 2, train__rows=300)
    labels = np.zeros(60, int)
    write(tmp_path / "other", again, test=(labels, labels))
    trial = {key: value for key, value in row("torch", 9).items() if not key.startswith("test.")}
    write(outputs, trial | {"command": "python train.py evaluate=[valid]"})
    said = compare("--outputs", str(tmp_path / "other"), "--runs", "6")
    first, second = said.split("job_titles, minilm, ")[1:]
    assert first.startswith("controlled")
    assert "flair" not in first
    assert "Times are of runs on a quiet machine: without 5 noisy." in first
    assert "training s" not in first
    assert "training s" in second
    assert re.search(r"No seed twice: left out: torch-native-seed2-\w+ \(2 is there already\)", second)
    assert "have no test figures, do not compete: 1 left out" in second
    assert "torch has 5" in second


def test_a_target_is_told_with_those_that_did_not_reach_it(compare, tmp_path):
    def aimed(recipe, seed):
        reached = None if (recipe, seed) == ("flair", 1) else {"torch": 20.0, "flair": 30.0}[recipe]
        return {"words": ["measure.target=0.4"], "train__target": 0.4, "train__target_seconds": reached}

    several(tmp_path / "outputs", {"torch": 0.5, "flair": 0.5}, rows=60, change=aimed)
    several(tmp_path / "outputs", {"keras": 0.5}, rows=60)
    files = [tmp_path / "table.md", tmp_path / "table.csv"]
    said = compare(*(word for path in files for word in ("--out", str(path))))
    told = (
        "The target, a valid macro-F1 of 0.4, was reached by 9 of 10 runs, whose times these are; not by flair seed 1."
    )
    assert " ".join(said.split()).count(told) == 1, "keras had none: it stands in a table of its own"
    with open(files[1], encoding="utf-8") as handle:
        lines = [line for line in csv.DictReader(handle) if line["figure"] == "train.target_seconds"]
    assert {line["ours"]: float(line["value"]) for line in lines} == {"torch": 20, "flair": 30}
    assert files[0].read_text(encoding="utf-8").count("to the target s") == 1


def test_a_recipe_is_not_told_from_itself(compare, tmp_path):
    several(tmp_path / "outputs", {"torch": 0.5}, seeds=range(10), rows=200)
    several(tmp_path / "outputs", {"flair": 0.5}, seeds=range(3), rows=200)
    said = compare("--aa")
    alarms = int(re.search(r"torch +10 +5 and 5 +(\d+) of 200", said)[1])
    assert f"called different from themselves: {alarms} of 200 " in said
    assert "at most 5% may be, 14.0% by chance: held" in said
    assert re.search(r"flair +3 +– +not checked: that takes 4 runs", said)


def test_recipes_told_from_themselves_are_an_error(compare, tmp_path, monkeypatch):
    several(tmp_path / "outputs", {"torch": 0.5}, seeds=range(6), rows=100)
    monkeypatch.setattr(statistics, "p_value", lambda *_: 0.01)
    assert "NOT HELD" in compare("--aa", code=1)


@pytest.mark.parametrize(("recipes", "most"), [(1, 0.14), (33, 0.065)])
def test_chance_adds_the_less_to_the_level_the_more_recipes_there_are(recipes, most):
    check = same.Check(deals=1000 * recipes, scatter=[0.055] * recipes)
    check.alarms = int(most * check.deals)
    assert check.held
    check.alarms = int((most + 0.002) * check.deals)
    assert not check.held


def test_the_reference_results_are_not_told_from_themselves():
    kept = reading.read(reading.REFERENCE) if reading.REFERENCE.is_dir() else []
    check = same.Check()
    for analysis in analyse(kept, pairs=False):
        check.of(analysis)
    if not check.deals:
        pytest.skip("outputs/reference has no recipe with four runs yet")
    assert check.alarms <= statistics.LEVEL * check.deals, check  # so many recipes need no allowance for chance


def test_what_got_worse_or_slower_since_then_is_marked(compare, tmp_path):
    skills = {"torch": 0.8, "flair": 0.8, "keras": 0.8}
    several(tmp_path / "then", skills, change=changes, small=True)
    now = skills | {"flair": 0.2, "fastai": 0.8}
    slower = {"torch": 1.5, "flair": 1.0, "keras": 1.0, "fastai": 1.0}
    several(tmp_path / "outputs", now, change=lambda recipe, seed: {"train__seconds": 40 * slower[recipe] + seed / 10})
    said = compare("--against", str(tmp_path / "then"))
    assert re.search("seeds +test macro-F1 +training now / then", said)
    assert re.search(r"flair +5 +-0\.\d+ .* WORSE", said)
    assert re.search(r"torch .* SLOWER TO TRAIN", said)
    assert re.search(r"keras .* faster to train, faster to answer", said)
    assert "- fastai" in said
    assert "neither a folder nor a revision" in compare("--against", "no-such-revision", code=2)
    shutil.rmtree(tmp_path / "outputs")
    several(tmp_path / "outputs", skills, change=changes)
    said = compare("--against", str(tmp_path / "then"))
    assert len(re.findall("the same predictions", said)) == 3
    assert "WORSE" not in said
    assert "SLOWER" not in said


def test_earlier_results_come_from_a_revision_too(tmp_path, monkeypatch):
    several(tmp_path / "outputs" / "reference", {"torch": 0.5}, seeds=range(2), small=True)
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=b"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "results"]):
        subprocess.run([*git, *words], check=True)
    shutil.rmtree(tmp_path / "outputs")
    monkeypatch.setattr(against, "ROOT", tmp_path)
    monkeypatch.setattr(against, "REFERENCE", tmp_path / "outputs" / "reference")
    monkeypatch.setattr(tarfile.TarFile, "extractall", lambda self, path: None)  # Python 3.10.0 knows no filter
    found = against.earlier("HEAD")
    assert [one.row["seed"] for one in found] == [0, 1]
    assert len(found[0].predictions()[0]) == 400


def test_the_report_is_one_page_that_needs_nothing_beside_it(compare, tmp_path):
    several(tmp_path / "outputs", {"torch": 0.5, "flair": 0.5, "tfidf": 0.1}, seeds=range(3))
    page, folder = tmp_path / "report.html", tmp_path / "pictures"
    compare("--out", str(page), "--pictures", str(folder))
    tree = ElementTree.fromstring(page.read_text(encoding="utf-8"))  # strict: what is open or unescaped is an error
    links = [one.get("href") for one in tree.iter("a")]
    assert {link[1:] for link in links} == {one.get("id") for one in tree.iter() if one.get("id")}
    images = list(tree.iter("img"))
    names = ["training-time", "latency", "learning", "latency-distribution", "memory", "classes", "confusion"]
    assert len(images) == len(names)
    for image, name in zip(images, names, strict=True):
        kind, _, data = image.get("src").partition(",")
        assert kind == "data:image/svg+xml;base64"
        svg = base64.b64decode(data)
        assert len(list(ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}path"))) > 20, name
        assert (folder / f"1-job_titles-native-{name}.svg").read_bytes() == svg
        assert (folder / f"1-job_titles-native-{name}.png").read_bytes().startswith(b"\x89PNG")
        assert MACHINE in image.get("alt")
    text = page.read_text(encoding="utf-8")
    assert not re.findall(r"""(?:src|href)=["'](?!#|data:)|@import|<script|url\(""", text)


@pytest.mark.skipif(not BROWSER, reason="no Chromium or Chrome on the PATH")
def test_a_browser_shows_the_report(compare, tmp_path):
    several(tmp_path / "outputs", {"torch": 0.5, "flair": 0.5}, seeds=range(2))
    page = tmp_path / "report.html"
    compare("--out", str(page))
    asks = """<script>onload = () => document.title = [...document.images].filter(one => one.naturalWidth > 99).length
      + " pictures, wider than the page: " + (document.documentElement.scrollWidth > innerWidth)</script>"""
    page.write_text(page.read_text(encoding="utf-8").replace("</body>", asks + "</body>"), encoding="utf-8")
    options = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        f"--user-data-dir={tmp_path / 'p'}",
    ]
    command = [BROWSER, *options, "--window-size=1300,900", "--virtual-time-budget=5000", "--dump-dom", page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert "<title>7 pictures, wider than the page: false</title>" in done.stdout, done.stderr[-2000:]


def test_many_groups_are_shown_in_part_and_written_whole(compare, tmp_path):
    for number in range(25):
        write(tmp_path / "outputs", row("torch", 0, data_digest=f"{number:02}" * 32))
    said = compare("--out", str(tmp_path / "all.md"))
    found = re.search(
        r"25 groups, of which the first 20 are shown here: choose some with KEY=VALUE, such as (\S+)\.", said
    )
    assert found and found[1].startswith("data_digest=")
    assert compare(found[1]).startswith("1 results")
    headings = re.findall(r"\n## (.*)", (tmp_path / "all.md").read_text(encoding="utf-8"))
    assert len(set(headings)) == 25


def test_groups_that_would_be_headed_alike_say_what_parts_them_in_words_that_choose_it(compare, tmp_path):
    files = {"jobs": "a1" * 32, "posts": "b2" * 32}
    for name, digest in files.items():
        for recipe in ("torch", "tfidf"):
            words = ["data=csv", f"data.train=/home/me/{name}.csv", "data.text=title"]
            write(tmp_path / "outputs", row(recipe, 0, data="csv", data_digest=digest, words=words))
    for weights in ("c3", "d4"):
        words = [f"model.path=/models/{weights}"]
        write(tmp_path / "outputs", row("flair", 0, data="onet", weights_digest=weights * 32, words=words))
    write(tmp_path / "outputs", row("keras", 0, data="emscad"))
    said = compare()
    for name, digest in files.items():
        word = f"data_digest={digest[:8]}"
        assert f", data.train={name}.csv, {word}\n" in said
        assert compare(word).startswith("2 results")
    for weights in ("c3", "d4"):
        assert f", model.path={weights}, weights_digest={(weights * 32)[:8]}\n" in said
    (heading,) = re.findall("^emscad, .*", said, re.MULTILINE)
    assert "data_digest" not in heading, "no other is headed so"
    assert "no result has data_digest=a1a1a1" in compare("data_digest=a1a1a1", code=2), "too short"
    assert "no result has data_digest=ffffffff" in compare(f"data_digest={'f' * 8},{'a1' * 4}", code=2)


def test_a_reason_that_ends_with_a_full_stop_has_one(compare, tmp_path):
    write(tmp_path / "outputs", row("torch", 0, status="failed", reason="too few rows: ['_ConstantPredictor']."))
    assert "torch seed 0 failed: too few rows: ['_ConstantPredictor'].\n" in compare()


def test_a_place_that_may_not_be_written_or_is_full_is_named_with_its_option(compare, tmp_path):
    write(tmp_path / "outputs", row("torch", 0))
    said = compare("--out", "/sys/page.md", code=1)  # where not even root may
    assert "/sys/page.md: no permission to write in the folder /sys; --out says where else to write." in said
    (tmp_path / "full.md").symlink_to("/dev/full")
    assert f"no space left on the device: {tmp_path}/full.md\n" in compare("--out", str(tmp_path / "full.md"), code=1)


def test_what_cannot_be_compared_is_told(compare, tmp_path):
    assert "no such folder" in compare(code=2)
    (tmp_path / "outputs").mkdir()
    assert "there are no results" in compare(code=1)
    labels = np.arange(3)
    folders = [
        write(tmp_path / "outputs", row(recipe, seed), test=(labels, labels))
        for recipe in ("torch", "flair")
        for seed in (0, 1)
    ]
    assert "its ending says what is written" in compare("--out", "table.doc", code=2)
    said = compare("recipe=torhc", code=2)
    assert f"in {tmp_path / 'outputs'}: no result has recipe=torhc. Did you mean 'torch'" in said
    assert said.endswith("The reference results: --outputs outputs/reference\n")
    assert "The reference" not in compare("--outputs", str(reading.REFERENCE), "recipe=torhc", code=2)
    assert "No two that compete have two seeds in common" in compare("seed=0")
    assert re.search(r"(torch – flair|flair – torch) .* no difference: the same predictions", compare())
    (folders[0] / "predictions_test.npz").write_bytes(b"torn")
    assert "predictions_test.npz: cannot be read" in compare(code=1)


def test_an_experiment_stands_beside_what_was_published_for_it(compare, tmp_path):
    command = "python train.py experiment=emscad recipe=torch seed=0"
    several(tmp_path / "outputs", {"torch": 0.5}, change=lambda recipe, seed: {"command": command})
    said = " ".join(compare("experiment=emscad").split())
    assert "experiment=emscad reproduces detecting fake job postings" in said
    assert "Fraud-BERT, F1 0.93" in said
    assert "no figure" not in said


def test_an_experiment_is_looked_for_among_the_reference_results_too(tmp_path, monkeypatch, capsys):
    command = {"command": "python train.py experiment=emscad recipe=torch seed=0"}
    several(tmp_path / "outputs", {"torch": 0.5})
    several(tmp_path / "reference", {"flair": 0.5}, change=lambda recipe, seed: command)
    monkeypatch.setattr(reading, "REFERENCE", tmp_path / "reference")
    monkeypatch.chdir(tmp_path)
    for words, code, said in (
        (["experiment=emscad"], 0, f"5 results in outputs, {tmp_path / 'reference'}"),
        (["recipe=torch"], 0, "5 results in outputs\n"),
        (["experiment=onet"], 2, f"no run in outputs, {tmp_path / 'reference'} is of experiment=onet."),
        (["--outputs", "outputs", "experiment=emscad"], 2, "no run in outputs is of experiment=emscad."),
    ):
        monkeypatch.setattr(sys, "argv", ["compare.py", *words])
        assert answered(lambda: script.main(script.parsed())) == code
        assert said in "".join(capsys.readouterr())


def test_an_experiment_of_which_there_is_no_run_is_told_with_the_command_that_makes_them(compare, tmp_path):
    command = {"command": "python train.py experiment=mine recipe=torch seed=0"}
    several(tmp_path / "outputs", {"torch": 0.5}, change=lambda recipe, seed: command)
    said = compare("experiment=mine,onet", code=2)
    assert f"no run in {tmp_path / 'outputs'} is of experiment=onet. `python train.py -m experiment=onet`" in said
    assert "no experiment is 'emscat'. Did you mean 'emscad'?" in compare("experiment=emscat", code=2)
    assert "experiment=mine" in compare("experiment=mine")  # somebody's, whose file is not here
    several(tmp_path / "outputs", {"flair": 0.5})
    assert "experiment=mine" not in compare("experiment=null")
