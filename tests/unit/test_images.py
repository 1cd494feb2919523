"""Pictures in folders as data: what is a row, what is refused and where, and that files count by their content."""

import os
import shutil

import pytest
from data_support import rows_of, settings
from hydra import compose, initialize_config_dir
from pictures_support import png, scans, striped

from harness import config
from harness.base.errors import UserError
from harness.inputs.data import prepare
from harness.runs import prepare as runs
from recipes.contract.split import Split


@pytest.fixture(autouse=True)
def home(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("FINETUNE_RECIPES_HOME", str(tmp_path_factory.getbasetemp() / "home"))


def of(folder, **changes):
    return prepare(settings("images", train=str(folder), **changes))


def test_a_class_a_subfolder_and_a_row_a_picture(tmp_path):
    folder = scans(tmp_path / "scans", each=20)
    (folder / "down" / "2026").mkdir()
    (folder / "down" / "2026" / "été.PNG").write_bytes(png(striped(False, 200)))
    found = of(folder)
    assert found.labels == ["across", "down"]
    assert {split: found.report["splits"][split]["rows"] for split in ("train", "valid", "test")} == {
        "train": 33, "valid": 4, "test": 4,
    }  # fmt: skip
    rows = rows_of(found)
    assert sorted(text for _, text, _ in rows) == sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*.*")
    )
    assert all(text.startswith(f"{label}/") for _, text, label in rows)
    for name in ("train", "valid", "test"):
        split = Split(name, found.folder / name)
        batch = split.batch(range(len(split)))
        for text, picture in zip(batch.texts, batch.pictures, strict=True):
            assert picture.tobytes() == (folder / text).read_bytes()


def test_splits_of_their_own_and_pictures_count_by_content_wherever_they_are(tmp_path):
    train, test = scans(tmp_path / "train", each=10), scans(tmp_path / "test", each=4, first=8)
    found = of(train, test=str(test), valid_size=2)
    assert found.report["splits"]["test"]["seen_in_train"] == 4, "pictures 8 and 9 of each class are in both"
    moved = tmp_path / "elsewhere"
    shutil.copytree(train, moved)
    assert of(moved, test=str(test), valid_size=2).folder == found.folder
    (moved / "down" / "003.png").write_bytes(png(striped(False, 77)))
    other = of(moved, test=str(test), valid_size=2)
    assert (other.folder, other.digest) != (found.folder, found.digest)
    with pytest.raises(UserError, match=r"data\.train and data\.test are the same"):
        of(train, test=str(train / ".." / "train"))


def test_the_same_picture_stays_in_one_split(tmp_path):
    folder = scans(tmp_path / "scans", each=12)
    for copy in range(12):
        shutil.copy(folder / "down" / "000.png", folder / "down" / f"copy{copy}.png")
    found = of(folder, valid_size=0.3, test_size=0.3)
    same = (folder / "down" / "000.png").read_bytes()
    holding = [
        name
        for name in ("train", "valid", "test")
        if any(picture.tobytes() == same for picture in Split(name, found.folder / name).pictures)
    ]
    assert len(holding) == 1


def test_what_systems_leave_and_empty_folders_are_left_out(tmp_path, capsys):
    folder = scans(tmp_path / "scans", each=10)
    (folder / ".DS_Store").write_bytes(b"\x00")
    (folder / "down" / "Thumbs.db").write_bytes(b"\x00")
    (folder / ".hidden").mkdir()
    (folder / "across" / ".cache").mkdir()
    (folder / "across" / ".cache" / "notes.txt").touch()
    (folder / "leer").mkdir()
    found = of(folder)
    assert found.labels == ["across", "down"]
    assert "leer: without pictures, so no class" in capsys.readouterr().err


def links(folder):
    (folder / "down" / "more").symlink_to(folder / "across")


def nowhere(folder):
    (folder / "down" / "gone.png").symlink_to(folder / "nothing.png")


def latin(folder):
    (folder / "down" / os.fsdecode("\u00e9t\u00e9.png".encode("latin-1"))).write_bytes(png(striped(False, 9)))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda folder: (folder / "down" / "read.txt").write_text("x"), "no pictures .*down/read.txt"),
        (lambda folder: (folder / "down" / "empty.png").touch(), "no pictures .*down/empty.png"),
        (lambda folder: (folder / "loose.png").write_bytes(png(striped(True, 1))), "in no subfolder.*loose.png"),
        (links, "links to folders.*down/more"),
        (nowhere, "links to files that are not there.*gone.png"),
        (latin, "no Unicode.*t"),
        (lambda folder: shutil.rmtree(folder / "down"), "two at least"),
        (shutil.rmtree, "there is no folder"),
    ],
)
def test_what_is_no_picture_of_a_class_is_told_with_its_path(tmp_path, change, said):
    folder = scans(tmp_path / "scans", each=5)
    change(folder)
    with pytest.raises(UserError, match=said):
        of(folder)


def test_a_link_to_a_picture_is_the_picture(tmp_path):
    folder = scans(tmp_path / "scans", each=10)
    elsewhere = tmp_path / "elsewhere.png"
    elsewhere.write_bytes(png(striped(True, 99)))
    (folder / "across" / "linked.png").symlink_to(elsewhere)
    assert len(rows_of(of(folder))) == 21


def composed(*words):
    with initialize_config_dir(str(config.CONF), version_base="1.3"):
        return config.checked(compose("config", [*words]))


def test_texts_are_refused_pictures_before_any_work(tmp_path):
    folder = scans(tmp_path / "scans", each=10)
    with pytest.raises(UserError, match=r"data=images is of pictures, and recipe=tfidf takes texts; .*torchvision"):
        runs.prepare(composed("recipe=tfidf", "data=images", f"data.train={folder}"))


def test_a_file_that_a_value_names_counts_by_its_content(tmp_path):
    words = ["recipe=torchvision", "data=images", f"data.train={scans(tmp_path / 'scans', each=10)}"]
    with pytest.raises(UserError, match=r"own\.pth: there is no such file\. Give one, or download, or null\."):
        runs.prepare(composed(*words, f"recipe.weights={tmp_path}/own.pth"))
    files = {name: tmp_path / f"{name}.pth" for name in ("one", "same", "other")}
    for name, path in files.items():
        path.write_bytes(b"other" if name == "other" else b"the same")
    found = {name: runs.prepare(composed(*words, f"recipe.weights={path}")).identity for name, path in files.items()}
    assert found["one"] == found["same"] != found["other"]
    assert len({identity.directory(tmp_path) for identity in found.values()}) == 2
