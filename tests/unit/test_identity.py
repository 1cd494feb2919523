"""Results are pooled over seeds where all else that they are is the same; others of their name are left apart, told."""

import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from results_support import known, row, several, write

from harness.results import contestants, reading
from harness.runs import identity, store
from harness.runs.identity import Identity

LATER = "2026-02-01T00:00:00+00:00"
OTHERS = {  # what makes another contestant of one, and what is said of it
    "code": ({"code": "d" * 12, "revision": "1" * 12}, "code d{12} .revision 1{12}., not c{12} .revision 0{12}."),
    "a version": ({"library_versions": "torch==2.12.0 transformers==5.23.0"}, r"torch==2\.12\.0, not 2\.13\.0\+cpu"),
    "the environment": ({"env": "torch-ffff"}, "env=torch-ffff, not torch-e{12}"),
    "a setting of the recipe": ({"recipe__learning_rate": 5e-4}, r"recipe\.learning_rate=0\.0005, not 0\.001"),
    "a new setting": ({"recipe__momentum": 0.9}, r"recipe\.momentum=0\.9, not none"),
    "the protocol": ({"protocol__warmup": 0.1}, r"protocol\.warmup=0\.1, not none"),
}


IDENTITY = Identity(
    schema=2, recipe={"name": "torch", "betas": (0.9, 0.999)}, data={"name": "onet", "digest": "a"}, model=None,
    protocol={"name": "native"}, precision=None, seed=0, threads=None, env="e", code="c",
)  # fmt: skip


def test_the_directory_follows_from_what_a_run_is_alone(tmp_path):
    first = IDENTITY.directory(tmp_path)
    reordered = replace(IDENTITY, recipe=dict(reversed(IDENTITY.recipe.items())))
    assert reordered.directory(tmp_path) == first
    assert first.parent == tmp_path / "onet"
    assert first.name.startswith("torch-native-seed0-")
    for change in ({"seed": 1}, {"recipe": {"name": "torch", "C": 2.0}}, {"data": {"name": "onet", "digest": "b"}}):
        assert replace(IDENTITY, **change).directory(tmp_path) != first


MODEL = {"name": "minilm", "digest": "w", "pooling": "mean"}


def test_the_directory_names_what_one_would_read_and_eight_digits():
    encoder = replace(
        IDENTITY, model=MODEL, precision="fp32", placement={"processes": 2, "device": "cpu"}, evaluate=("valid",)
    )
    assert re.fullmatch(r"torch-minilm-native-fp32-seed0-2cpu-[0-9a-f]{8}", encoder.directory(Path("/a")).name)
    assert encoder.directory(Path("~/a")) == encoder.directory(Path.home() / "a")
    assert encoder.directory(Path("a")) == encoder.directory(Path.cwd() / "a")


def test_an_identity_is_what_json_has_and_without_what_only_some_runs_have():
    shared = {
        "schema": 2, "recipe": {"name": "torch", "betas": (0.9, 0.999)}, "data": {"name": "onet", "digest": "a"},
        "model": None, "protocol": {"name": "native"}, "precision": None, "seed": 0, "threads": None, "env": "e",
        "code": "c",
    }  # fmt: skip
    assert IDENTITY.values() == shared
    assert IDENTITY.keys() == identity.flat(shared)
    more = {"placement": {"processes": 2}, "tokens": "t", "train": {"epochs": 4}}
    assert replace(IDENTITY, evaluate=("valid",), **more).values() == {**shared, "evaluate": ["valid"], **more}


def test_results_of_years_stay_comparable_a_digest_is_of_these_words():
    """The digest of text that stands here: whoever changes it parts all results from those that come after."""
    words = (
        '{"code": "c", "data": {"digest": "a", "name": "onet"}, "env": "e", "model": MODEL, "precision": null, '
        '"protocol": {"name": "native"}, "recipe": {"betas": [0.9, 0.999], "name": "torch"}, "schema": 2, '
        '"threads": 4, "versions": "torch==2"}'
    )

    def digest(model: str) -> str:
        return hashlib.sha256(words.replace("MODEL", model).encode()).hexdigest()[:12]

    mine = replace(IDENTITY, seed=7, threads=None, evaluate=("valid",))
    assert mine.digest(4, None, "torch==2") == digest("null")
    assert mine.digest(4, "z", "torch==2") == digest("null"), "no model, nothing drawn"
    drawn = '{"digest": "z", "name": "minilm", "pooling": "mean"}'
    assert replace(mine, model=MODEL).digest(4, "z", "torch==2") == digest(drawn)
    assert replace(mine, model=MODEL).digest(4, None, "torch==2") == digest(drawn.replace("z", "w"))


def result(made: dict) -> reading.Result:
    return reading.Result(made, Path(f"{made['recipe']}-{made['seed']}"))


def test_the_identity_is_flat_in_the_row_and_nothing_of_it_is_lost():
    nested = {"recipe": {"betas": [0.9, 0.999], "one": {}}, "model": None, "seed": 1}
    assert identity.flat(nested) == {
        "identity.recipe.betas": [0.9, 0.999], "identity.recipe.one": {}, "identity.model": None, "identity.seed": 1
    }  # fmt: skip


def test_seeds_are_one_whatever_does_not_tell_them_apart():
    rows = [
        known(row("torch", 0)), known(row("torch", 1)), known(row("torch", 2), threads=2),  # null: as many
        known(row("torch", 3), evaluate=["valid"]), known(row("torch", 4), ended=LATER, revision="1" * 12),
    ]  # fmt: skip
    found, apart = contestants.contestants(map(result, rows))
    assert ([one.row["seed"] for one in found["torch"]], apart) == ([0, 1, 2, 3, 4], [])
    drawn = [
        known(row("torch", seed, weights_digest=f"{seed}" * 64), weights_drawn="a", model__digest=f"{seed}" * 64)
        for seed in range(3)
    ]
    found, apart = contestants.contestants(map(result, drawn))
    assert ([one.row["seed"] for one in found["torch"]], apart) == ([0, 1, 2], [])


@pytest.mark.parametrize("what", OTHERS)
def test_results_of_another_identity_are_no_seeds_of_the_newest(what):
    changed, said = OTHERS[what]
    older = [result(known(row("torch", seed), **changed)) for seed in range(5)]
    newer = [result(known(row("torch", seed), ended=LATER)) for seed in (3, 4, 5)]
    found, (apart,) = contestants.contestants([*older, *newer])
    assert [one.row["seed"] for one in found["torch"]] == [3, 4, 5]
    assert (apart.name, apart.results, len(apart.differences)) == ("torch", older, 1)
    told = rf"torch, 5 runs: {said}\. (identity_digest=\w+) chooses them, (\1,\w+) sets both side by side\."
    words = re.fullmatch(told, str(apart))
    assert words, apart
    chosen = [reading.filtered([*older, *newer], [word]) for word in words.groups()]
    assert chosen == [older, [*older, *newer]]


def test_rows_that_do_not_say_what_they_are_pool_as_before_and_never_with_those_that_do():
    older = [result(row("torch", seed)) for seed in range(5)]
    found, apart = contestants.contestants(older)
    assert (found, apart) == ({"torch": older}, [])
    newer = [result(known(row("torch", seed))) for seed in range(2)]
    other = [result(row("flair", seed)) for seed in range(2)]
    found, (apart,) = contestants.contestants([*older, *newer, *other])
    assert found == {"torch": newer, "flair": other}
    assert str(apart) == (
        "torch, 5 runs: of unknown code, by a version that did not note it (schema 1). identity_digest=null chooses "
        f"them, identity_digest=null,{newer[0].row['identity_digest']} sets both side by side."
    )
    assert reading.filtered([*older, *newer], ["identity_digest=null"]) == older


def test_what_all_in_one_table_share_is_that_of_the_newest_results():
    """Dropout and protocol are settings of no recipe: an edit of conf/model/ or conf/protocol/ concerns each."""
    older = [result(known(row(recipe, 0))) for recipe in ("torch", "flair", "tfidf")]
    newer = [result(known(row("keras", 0), ended=LATER, model__dropout=0.2))]
    found, apart = contestants.contestants([*older, *newer])
    assert list(found) == ["keras", "tfidf"], "tfidf has no model that could be another"
    assert [str(one).partition(": ")[2].partition(". ")[0] for one in apart] == ["model.dropout=None, not 0.2"] * 2


def test_a_failure_does_not_take_the_name_from_results_and_counts_where_it_belongs():
    good = [result(known(row("torch", seed))) for seed in range(2)]
    unbuilt = result(known(row("torch", 2, status="failed"), library_versions=None))
    broken = result(known(row("torch", 3, status="failed"), code="d" * 12, ended=LATER))
    found, (apart,) = contestants.contestants([*good, unbuilt, broken])
    assert found == {"torch": [*good, unbuilt]}
    assert str(apart).startswith("torch, 1 failed: code d")
    older = [result(row("torch", seed)) for seed in range(2)]
    found, (apart,) = contestants.contestants([*older, broken])
    assert found == {"torch": older}
    assert f"{broken.row['identity_digest']},null sets both" in str(apart)


def test_compare_leaves_apart_what_is_not_the_same_and_says_why_and_how_to_choose_it(compare, tmp_path):
    outputs = tmp_path / "outputs"

    def write_all(recipe: str, code: str, ended: str, skill: float) -> None:
        draw = np.random.default_rng(0)
        labels = draw.integers(0, 5, 200)
        for seed in range(5):
            predicted = np.where(draw.random(200) < skill, labels, draw.integers(0, 5, 200))
            made = known(row(recipe, seed, words=[f"data.path={code}"]), code=code * 12, ended=ended)
            write(outputs, made, valid=(labels, predicted), test=(labels, predicted))

    write_all("torch", "a", "2026-01-01T00:00:00+00:00", 0.9)
    write_all("torch", "b", LATER, 0.4)
    write_all("flair", "c", LATER, 0.4)
    said = compare("--out", str(tmp_path / "table.md"))
    assert re.search(r"^torch +5 ", said, re.MULTILINE), "five of one code, not ten"
    assert re.search(r"(torch – flair|flair – torch) .* no difference: the same predictions", said)
    (told,) = re.findall(r"- (torch, 5 runs: code a{12} .*)", said)
    assert told in (tmp_path / "table.md").read_text(encoding="utf-8")
    assert "one setting, one environment: held." in said
    digests = [re.search(r"identity_digest=(\w+) chooses", told)[1]]
    said = compare(f"identity_digest={digests[0]}")
    assert "Left apart" not in said
    newest = next(one for one in reading.read(outputs) if one.row["code_digest"] == "b" * 12)
    said = compare(f"identity_digest={digests[0]},{newest.row['identity_digest']}")
    assert re.search(rf"torch \({digests[0]}\) – torch +5 .* torch \({digests[0]}\) is better", said), said
    assert "2 without" not in said


def test_then_and_now_are_compared_across_code_on_purpose(compare, tmp_path):
    for place, code in (("then", "a"), ("outputs", "b")):
        several(tmp_path / place, {"torch": 0.5}, seeds=range(2))
        for path in (tmp_path / place).rglob("result.json"):
            made = known(json.loads(path.read_text(encoding="utf-8")), code=code * 12)
            path.write_text(json.dumps(made), encoding="utf-8")
    said = compare("--against", str(tmp_path / "then"))
    assert re.search(r"torch +2 .*the same predictions", said)
    assert "- torch: code bbbbbbbbbbbb (revision 000000000000), not aaaaaaaaaaaa (revision 000000000000)" in said


def test_interrupted_runs_are_neither_results_nor_failures(compare, tmp_path):
    def ended(recipe, seed):
        status = {("torch", 4): "interrupted", ("flair", 3): "failed", ("flair", 4): "interrupted"}
        return {"status": status.get((recipe, seed), "finished"), "reason": "it was so"}

    several(tmp_path / "outputs", {"torch": 0.5, "flair": 0.5}, change=ended)
    said = compare("--out", str(tmp_path / "table.csv"))
    assert re.search(r"^torch +4\* \+ 1 interrupted ", said, re.MULTILINE)
    assert re.search(r"^flair +3\* \+ 1 failed \+ 1 interrupted ", said, re.MULTILINE)
    assert "Failed runs are counted: 1 of 8; flair seed 3 failed: it was so." in said
    told = "Interrupted runs are neither results nor failures: 2, the same command goes on with each: "
    assert re.search(told + "(torch seed 4, flair seed 4|flair seed 4, torch seed 4)", said)
    assert ",1,1,0." in (tmp_path / "table.csv").read_text(encoding="utf-8")
    several(tmp_path / "outputs", {"keras": 0.5}, seeds=[0], change=lambda *_: {"status": "interrupted"})
    assert re.search(r"keras +0\* \+ 1 interrupted ", compare())


def test_what_was_run_before_an_edit_is_named(tmp_path):
    for name, changed in (("a", {}), ("b", {"seed": 1}), ("c", {"evaluate": ["valid"]}), ("d", None)):
        folder = tmp_path / f"torch-seed0-{name}"
        folder.mkdir()
        what = {} if changed is None else replace(IDENTITY, code="before", **changed).keys()
        store.write_json(folder / "result.json", {"status": "finished", **what})
    (tmp_path / "torch-seed0-0").mkdir()  # of code that it does not say, and the first by name
    said = {key: value for key, value in IDENTITY.keys().items() if key != "identity.code"}
    store.write_json(tmp_path / "torch-seed0-0" / "result.json", {"status": "finished", **said})
    folder = tmp_path / "torch-seed0-now"
    assert IDENTITY.edited_since(folder) == "torch-seed0-a (finished)"
    assert replace(IDENTITY, code="before").edited_since(folder) is None
    assert replace(IDENTITY, seed=2).edited_since(folder) is None
