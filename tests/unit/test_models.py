"""Where a model is found, and what is refused."""

import json
import os
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from harness.base.errors import UserError
from harness.config.settings import Model, made
from harness.inputs import models

CONFIG = {"name": "path", "hub": None, "revision": None, "package": None, "package_folder": None, "sha256": None}
CONFIG |= {"path": None, "from_scratch": None, "shape": None, "pooling": "mean", "dropout": None}


@pytest.fixture
def folder(tmp_path):
    """A small model folder, whole."""
    folder = tmp_path / "encoder"
    folder.mkdir()
    save_file({"weight": np.arange(1000, dtype=np.float32)}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"model_type": "bert", "max_position_embeddings": 64}))
    (folder / "tokenizer.json").write_text("{}")
    return folder


def chosen(**values):
    return made(Model, CONFIG | values)


def find(folder, **values):
    return models.find(chosen(path=str(folder), **values))


def test_a_local_folder_is_taken_and_its_weights_are_digested(folder):
    found = find(folder)
    assert found.folder == folder
    assert found.longest == 64
    assert find(folder, sha256=found.digest).digest == found.digest


def test_from_scratch_are_the_same_shapes_with_weights_drawn_by_the_seed(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("FINETUNE_RECIPES_HOME", str(tmp_path / "home"))
    shapes = {"embeddings.word_embeddings.weight": (900, 8), "LayerNorm.weight": (8,), "dense.bias": (8,)}
    save_file({name: np.full(shape, 7, np.float16) for name, shape in shapes.items()}, folder / "model.safetensors")
    first, again, other = (find(folder, from_scratch=seed) for seed in (0, 0, 1))
    assert first == again
    assert first.digest != other.digest
    assert first.drawn == other.drawn
    assert find(folder).drawn is None
    assert (first.name, first.tokenizer.read_text()) == ("path_from_scratch", "{}")
    drawn = load_file(first.folder / "model.safetensors")
    assert {name: values.shape for name, values in drawn.items()} == shapes
    words = drawn["embeddings.word_embeddings.weight"]
    assert words[1:].std() == pytest.approx(0.02, rel=0.05)
    assert not words[0].any()
    assert set(drawn["LayerNorm.weight"]) == {1}
    assert set(drawn["dense.bias"]) == {0}


def test_a_shape_of_one_s_own_has_the_tensors_that_its_config_says(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("FINETUNE_RECIPES_HOME", str(tmp_path / "home"))
    own = {"num_hidden_layers": 3, "hidden_size": 6, "num_attention_heads": 2, "intermediate_size": 24}
    (folder / "config.json").write_text(json.dumps({"model_type": "bert", "max_position_embeddings": 64} | own))
    shapes = {"embeddings.word_embeddings.weight": (90, 6), "embeddings.position_embeddings.weight": (64, 6)}
    shapes |= {f"encoder.layer.{n}.intermediate.dense.weight": (24, 6) for n in range(3)}
    shapes |= {f"encoder.layer.{n}.output.LayerNorm.weight": (6,) for n in range(3)}
    save_file({name: np.ones(shape, np.float32) for name, shape in shapes.items()}, folder / "model.safetensors")
    shape = {"num_hidden_layers": 2, "hidden_size": 4, "intermediate_size": 8}
    found = find(folder, from_scratch=0, shape=shape)
    assert (found.name, found.hidden_size) == ("path", 4)
    assert json.loads((found.folder / "config.json").read_text())["intermediate_size"] == 8
    drawn = {name: values.shape for name, values in load_file(found.folder / "model.safetensors").items()}
    assert drawn == {
        "embeddings.word_embeddings.weight": (90, 4), "embeddings.position_embeddings.weight": (64, 4),
        **{f"encoder.layer.{n}.intermediate.dense.weight": (8, 4) for n in range(2)},
        **{f"encoder.layer.{n}.output.LayerNorm.weight": (4,) for n in range(2)},
    }  # fmt: skip
    numbers = ({"intermediate_size": 6}, {"num_attention_heads": 6})  # the same number, of something else
    inner, heads = (find(folder, from_scratch=0, shape=shape) for shape in numbers)
    assert inner.folder != heads.folder
    assert json.loads((heads.folder / "config.json").read_text())["intermediate_size"] == 24
    refused = [
        ({"hidden_size": 5}, "multiple of 2"),
        ({"num_hidden_layers": 4}, "has 3"),
        ({"width": 4}, "hidden_size"),
    ]
    for wrong, why in refused:
        with pytest.raises(UserError, match=why):
            find(folder, from_scratch=0, shape=wrong)
    with pytest.raises(UserError, match="model.from_scratch=SEED"):
        find(folder, shape=shape)


def test_roberta_has_two_positions_fewer(folder):
    (folder / "config.json").write_text(json.dumps({"model_type": "camembert", "max_position_embeddings": 514}))
    assert find(folder).longest == 512


@pytest.mark.parametrize("said", [0, None, 1])
def test_padding_is_the_tokenizer_s_whatever_config_json_says(said, folder, tmp_path, monkeypatch):
    monkeypatch.setenv("FINETUNE_RECIPES_HOME", str(tmp_path / "home"))
    config = {"model_type": "bert", "max_position_embeddings": 64} | ({} if said is None else {"pad_token_id": said})
    (folder / "config.json").write_text(json.dumps(config))
    special = [{"id": 0, "content": "<s>"}, {"id": 1, "content": "<pad>", "special": True}]
    (folder / "tokenizer.json").write_text(json.dumps({"version": "1.0", "added_tokens": special, "model": {}}))
    first, again = find(folder), find(folder)
    assert first == again
    assert (first.folder == folder) == (said == 1)
    assert json.loads((first.folder / "config.json").read_text()) == first.config == {**config, "pad_token_id": 1}
    assert first.digest == models.verified(chosen(), folder, None).digest
    for name in ("model.safetensors", "tokenizer.json"):
        assert (first.folder / name).read_bytes() == (folder / name).read_bytes()
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "camembert"}))
    assert find(folder).folder == folder, "its positions are counted from config.json's"


def test_one_changed_byte_is_a_wrong_checksum(folder):
    right = find(folder).digest
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x7f")
    with pytest.raises(UserError, match=f"wrong checksum(.|\n)*{right}"):
        find(folder, sha256=right)


@pytest.mark.parametrize("kept", [0, 5, 100, 3000])
def test_half_a_download_is_told(folder, kept):
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:kept])
    with pytest.raises(UserError, match=f"not a whole safetensors file.*{kept:,} bytes"):
        find(folder)


def test_a_pickle_is_refused_with_the_way_to_convert_it(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(UserError, match="is a pickle(.|\n)*save_file"):
        find(folder)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(UserError, match=f"has no {name}"):
        find(folder)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(UserError, match="no folder .*/nowhere"):
        find(tmp_path / "nowhere")


def test_offline_with_nothing_found_one_message_says_what_was_tried(cli):
    done = cli("model=bert_base", "data=onet", HF_ENDPOINT="http://127.0.0.1:9", HF_HOME="hub")
    assert done.returncode == 1
    for text in (
        "bert_base was not found",
        "local cache: not there",
        "cannot be reached",
        "none is known",
        "hf download",
    ):
        assert text in done.stderr


def test_a_file_in_the_hub_s_cache_is_checked_against_its_name(folder, tmp_path, monkeypatch):
    """The hub's cache files a large file under its SHA-256: a blob cut short, or changed, shows."""
    digest = find(folder).digest
    cache = tmp_path / "hub"
    repository = cache / "models--some--model"
    snapshot = repository / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (repository / "blobs").mkdir()
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("abc")
    blob = repository / "blobs" / digest
    shutil.copy(folder / "model.safetensors", blob)
    os.symlink(blob, snapshot / "model.safetensors")
    for name in ("config.json", "tokenizer.json"):
        shutil.copy(folder / name, snapshot / name)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    hub = chosen(hub="some/model", revision="main")
    assert models.find(hub).folder == snapshot
    blob.write_bytes(blob.read_bytes()[:-1] + b"\x7f")
    with pytest.raises(UserError, match="wrong checksum"):
        models.find(hub)
