"""Checkpoints of others as Hugging Face folders: the maps on random weights, and what is refused, in words."""

import gzip
import importlib.util
import json
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
from support import ROOT

from recipes.weights import leaving
from recipes.weights.bert import DENSE, FIRST_POSITION, NORMS, TABLES
from recipes.weights.leaving import HEADS, POSITIONS, SEGMENTS, WORDS, Checkpoint, convert

WIDTH, INNER, LAYERS, HEADS_OF_IT, POSITIONS_OF_IT = 8, 16, 3, 2, 12
TOLD = {"num_attention_heads": HEADS_OF_IT}
ENDS = {"table": {"": ""}, "norm": {".weight": ".weight", ".bias": ".bias"}}
ENDS["dense"] = ENDS["norm"]
SAME = leaving.tensors(ENDS, [{name: name for name in names} for names in (TABLES, NORMS, DENSE)])


def shape_of(name):
    rows = {WORDS: 20, POSITIONS: POSITIONS_OF_IT, SEGMENTS: 2}
    if name in rows:
        return rows[name], WIDTH
    shapes = {"intermediate.dense": (INNER, WIDTH), "layer.{layer}.output.dense": (WIDTH, INNER)}
    dense = next((shape for part, shape in shapes.items() if part in name), (WIDTH, WIDTH))
    return dense[:1] if name.endswith(".bias") or "LayerNorm" in name else dense


@pytest.fixture
def weights():
    """Random weights of an encoder, by AutoModel's names."""
    chosen = np.random.default_rng(0)
    names = [name.format(layer=layer) for name in SAME for layer in range(LAYERS if "{layer}" in name else 1)]
    shapes = {name.format(layer=layer): shape_of(name) for name in SAME for layer in range(LAYERS)}
    return {name: chosen.normal(size=shapes[name]).astype(np.float32) for name in names}


def equal(first, second):
    assert first.keys() == second.keys()
    assert all(np.array_equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("prefix", ["", "bert.", "model/deep/encoder/"])
@pytest.mark.parametrize("transposed", [False, True])
def test_every_tensor_comes_out_as_it_was_below_whatever_prefix_and_what_lies_beside_is_told(
    weights, prefix, transposed
):
    def theirs(name, values):
        kernel = values.ndim == 2 and "embeddings" not in name
        return values.T if transposed and kernel else values

    arrays = {prefix + name: theirs(name, values) for name, values in weights.items()}
    beside = {"optimizer.m.0": np.ones(3), "step": np.ones(())} if prefix else {}
    made = convert(Checkpoint({**arrays, **beside}, SAME, transposed), None, TOLD)
    equal(made.weights, weights)
    assert made.left_out == sorted(beside)
    sizes = {"vocab_size": 20, "hidden_size": WIDTH, "num_hidden_layers": LAYERS, "intermediate_size": INNER}
    sizes |= {"max_position_embeddings": POSITIONS_OF_IT, "type_vocab_size": 2, "num_attention_heads": HEADS_OF_IT}
    assert sizes.items() <= made.config.items()
    assert made.config["architectures"] == ["BertModel"]


@pytest.mark.parametrize("kind", FIRST_POSITION)
def test_a_classifier_s_head_comes_with_its_encoder(weights, kind):
    of = "bert" if kind == "bert" else "roberta"
    head = {name: np.ones((4, WIDTH) if "weight" in name else 4, np.float32) for name in HEADS[of]}
    table = {**SAME, **{name: f"head.{name}" for name in head}}
    arrays = {f"{of}.{name}": values for name, values in weights.items()}
    beside = {f"head.{name}": values for name, values in head.items()}
    like = {"model_type": kind, "num_attention_heads": HEADS_OF_IT, "id2label": {"0": "of another task"}}
    made = convert(Checkpoint({**arrays, **beside}, table), like, {})
    assert made.config["architectures"][0].endswith("ForSequenceClassification")
    assert list(made.config["id2label"].values()) == [f"LABEL_{number}" for number in range(4)]
    assert {name for name in made.weights if name.startswith("classifier.")} == {
        name for name in head if name.startswith("classifier.")
    }
    assert all(name.startswith((f"{of}.", "classifier.")) for name in made.weights)
    half = {name: values for name, values in beside.items() if name != f"head.{HEADS[of][0]}"}
    alone = convert(Checkpoint({**arrays, **half}, table), like, {})
    assert not [name for name in alone.weights if name.startswith("classifier.")], "half a head is none"
    assert "head.classifier" in " ".join(alone.left_out)


def test_what_roberta_has_and_a_library_has_not_is_added(weights):
    arrays = {name: values for name, values in weights.items() if name != SEGMENTS}
    made = convert(Checkpoint(arrays, SAME, said={"model_type": "roberta"}, from_zero=True), None, TOLD)
    assert not made.weights[SEGMENTS].any()
    assert np.array_equal(made.weights[POSITIONS][2:], weights[POSITIONS])
    assert made.config["max_position_embeddings"] == POSITIONS_OF_IT + 2
    like = {"model_type": "camembert", "max_position_embeddings": POSITIONS_OF_IT + 2}
    same = convert(Checkpoint(arrays, SAME), like, TOLD)
    assert np.array_equal(same.weights[POSITIONS], made.weights[POSITIONS])
    assert same.config["architectures"] == ["CamembertModel"]


def refused(arrays, like=None, told=TOLD, **more):
    with pytest.raises(ValueError) as error:
        convert(Checkpoint(arrays, SAME, **more), like, told)
    return str(error.value)


def test_what_is_not_this_architecture_is_refused_in_words(weights):
    assert "encoder.adapter" in refused({**weights, "encoder.adapter": np.ones(2)})
    some = dict(weights)
    del some["encoder.layer.1.attention.self.key.bias"]
    assert "missing are encoder.layer.1.attention.self.key.bias" in refused(some)
    assert "several encoders: a." in refused(
        {f"{which}.{name}": one for which in "ab" for name, one in weights.items()}
    )
    assert "--names" in refused({"layers/0/w": np.ones(2)})
    assert "--heads" in refused(weights, told={})
    assert "3 heads" in refused(weights, told={"num_attention_heads": 3})
    assert "hidden_size is 8 in the checkpoint and 768" in refused(weights, {"hidden_size": 768})
    assert "distilbert" in refused(weights, {"model_type": "distilbert"})
    assert "is of roberta" in refused(weights, {"model_type": "bert"}, said={"model_type": "roberta"})


def test_names_of_one_s_own_may_stand_anywhere(weights):
    own = {theirs: "mine/" + theirs.replace("layer.{layer}", "block_{layer}") for theirs in SAME}
    arrays = {}
    for theirs, ours in own.items():
        for layer in range(LAYERS):
            arrays[ours.format(layer=layer)] = weights[theirs.format(layer=layer)]
    made = convert(Checkpoint({**arrays, "mine/other": np.ones(1)}, own, exact=True), None, TOLD)
    equal(made.weights, weights)
    assert made.left_out == ["mine/other"]


def without_its_package(path):
    """Return a module of a room whose package has a library imported."""
    spec = importlib.util.spec_from_file_location("without_its_package", ROOT / path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Bad:
    def __reduce__(self):
        return os.system, ("touch /tmp/it-was-run",)


def test_a_pickle_of_trax_may_hold_arrays_alone(tmp_path):
    read = without_its_package("recipes/trax/leaving.py").read
    with gzip.open(tmp_path / "model.pkl.gz", "wb") as file:
        pickle.dump({"flat_weights": [Bad()]}, file)
    with pytest.raises(ValueError, match=r"posix\.system, which is no array"):
        read(tmp_path / "model.pkl.gz")
    with gzip.open(tmp_path / "model.pkl.gz", "wb") as file:
        pickle.dump({"flat_weights": [np.ones(3)] * 9}, file)
    with pytest.raises(ValueError, match="9 arrays are not those of trax.models.research.bert"):
        read(tmp_path)


def converting(*words):
    command = [sys.executable, ROOT / "scripts" / "convert.py", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_what_was_given_is_checked_before_any_work(tmp_path):
    (tmp_path / "model.params").write_bytes(b"")
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "file").touch()
    (tmp_path / "list.json").write_text("[]")
    given = ["mxnet", tmp_path / "model.params", tmp_path / "new"]
    cases = [
        (["mxnett", *given[1:]], "Did you mean 'mxnet'?"),
        (["mxnet", tmp_path / "nothing", tmp_path / "new"], "there is no file or folder"),
        (["mxnet", tmp_path / "model.params", tmp_path / "there"], "nothing is written over"),
        ([*given, "--like", tmp_path / "nowhere"], "--like: there is no folder"),
        ([*given, "--like", tmp_path / "there"], "config.json"),
        ([*given, "--names", tmp_path / "list.json"], "is no object"),
        ([*given, "--names", tmp_path / "model.params"], "is not JSON"),
        ([*given, "--vocabulary", tmp_path / "nowhere"], "--vocabulary: there is no file"),
        ([*given, "--vocabulary", tmp_path / "list.json"], "has no [UNK], [SEP]"),
        ([*given, "--heads", "0"], "is not a whole number above 0"),
    ]
    for words, said in cases:
        done = converting(*words)
        assert (done.returncode, said in done.stderr) == (2, True), (words, done.stderr)
        assert "Traceback" not in done.stderr
    assert not (tmp_path / "new").exists()


def test_word_pieces_make_a_tokenizer_of_their_case(tmp_path):
    from tokenizers import Tokenizer

    from harness.use.convert import read_pieces, word_pieces

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    for name, pieces, lower in ("lower", ["chef", "##s"], True), ("cased", ["Chef", "chef", "##s"], False):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "given.txt").write_text("\n".join([*special, *pieces]) + "\n")
        (folder / "given.vocab").write_text(json.dumps({"idx_to_token": [*special, *pieces]}))
        for given in ("given.txt", "given.vocab"):
            word_pieces(read_pieces(folder / given), folder, 12)
            cut = Tokenizer.from_file(str(folder / "tokenizer.json")).encode("Chefs").tokens
            assert cut == ["[CLS]", "chef" if lower else "Chef", "##s", "[SEP]"]
        told = json.loads((folder / "tokenizer_config.json").read_text())
        assert (told["do_lower_case"], told["model_max_length"]) == (lower, 12)
