"""A Hugging Face folder, read and written with numpy: old names, prefixes, half precision."""

import json

import numpy as np
import pytest
from job_support import a_job
from safetensors.numpy import load_file, save_file

from recipes import weights
from recipes.contract.job import Dropout

NAMES = ["embeddings.word_embeddings.weight", "embeddings.LayerNorm.weight", "encoder.layer.0.output.LayerNorm.bias"]


def checkpoint(folder, model_type, tensors):
    folder.mkdir()
    config = {"model_type": model_type, "hidden_size": 4, "hidden_dropout_prob": 0.1, "vocab": "é"}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / "tokenizer.json").write_text("{}", encoding="utf-8")
    save_file(tensors, folder / "model.safetensors")
    return folder


@pytest.mark.parametrize(
    ("model_type", "prefix"), [("bert", ""), ("bert", "bert."), ("roberta", "roberta."), ("camembert", "roberta.")]
)
def test_the_encoder_is_found_below_a_prefix_beside_heads_and_in_half_precision(tmp_path, model_type, prefix):
    values = {name: np.random.default_rng(0).normal(size=4).astype(np.float16) for name in NAMES}
    others = {
        "lm_head.bias": np.zeros(2),
        "pooler.dense.bias": np.zeros(2),
        f"{prefix}pooler.dense.weight": np.zeros(2),
    }
    others[f"{prefix}embeddings.position_ids"] = np.arange(4)
    folder = checkpoint(tmp_path / "model", model_type, {prefix + name: v for name, v in values.items()} | others)
    config, found = weights.read(folder)
    assert config["model_type"] == model_type
    assert found.keys() == set(NAMES)
    for name, value in values.items():
        assert found[name].dtype == np.float32
        np.testing.assert_array_equal(found[name], value)


def test_layer_norms_of_the_first_checkpoints_have_today_s_names(tmp_path):
    old = {"bert.embeddings.LayerNorm.gamma": np.ones(4), "bert.embeddings.LayerNorm.beta": np.zeros(4)}
    _, found = weights.read(checkpoint(tmp_path / "model", "bert", old))
    assert found.keys() == {"embeddings.LayerNorm.weight", "embeddings.LayerNorm.bias"}


def test_what_is_written_is_read_again_with_labels_pooling_dropout_and_tokenizer(tmp_path):
    values = {name: np.random.default_rng(0).normal(size=(4, 4)).astype(np.float32) for name in NAMES}
    source = checkpoint(tmp_path / "model", "bert", values)
    (tmp_path / "run").mkdir()
    about = {"labels": ("Santé, social", "b"), "weights": source, "pooling": "cls", "dropout": Dropout(0.2, 0.3)}
    job = a_job(tmp_path / "run", **about)
    head = {"weight": values[NAMES[0]].T, "bias": np.zeros(2)}  # a transposed view: what is saved must be in order
    weights.write(job, values, head)
    config, found = weights.read(job.model)
    for name, value in values.items():
        np.testing.assert_array_equal(found[name], value)
    np.testing.assert_array_equal(load_file(job.model / "head.safetensors")["weight"], head["weight"])
    assert config["id2label"] == {"0": "Santé, social", "1": "b"}
    assert config["label2id"] == {"Santé, social": 0, "b": 1}
    assert (config["pooling"], config["hidden_dropout_prob"]) == ("cls", 0.2)
    assert "attention_probs_dropout_prob" not in config
    assert (job.model / "tokenizer.json").exists()


@pytest.mark.parametrize("kept", [True, False], ids=["the folder's own", "none in the folder"])
def test_the_pooler_of_the_architecture_is_in_the_file_so_that_nothing_is_missing(tmp_path, kept):
    rng = np.random.default_rng(0)
    values = {f"bert.{name}": rng.normal(size=(4, 4)).astype(np.float16) for name in NAMES}
    own = {f"bert.pooler.dense.{part}": rng.normal(size=shape).astype(np.float16)
           for part, shape in (("weight", (4, 4)), ("bias", 4))}  # fmt: skip
    source = checkpoint(tmp_path / "model", "bert", values | (own if kept else {}))
    (tmp_path / "run").mkdir()
    job = a_job(tmp_path / "run", weights=source, pooling="mean", dropout=Dropout())
    weights.write(job, {name: values[f"bert.{name}"] for name in NAMES}, {"weight": np.zeros((2, 4))})
    found = load_file(job.model / "model.safetensors")
    assert found.keys() == {*NAMES, "pooler.dense.weight", "pooler.dense.bias"}
    assert {one.dtype for one in found.values()} == {np.dtype(np.float32)}
    state = rng.normal(size=4).astype(np.float32)
    handed_on = state @ found["pooler.dense.weight"].T + found["pooler.dense.bias"]
    wanted = state @ own["bert.pooler.dense.weight"].T + own["bert.pooler.dense.bias"] if kept else state
    np.testing.assert_allclose(handed_on, wanted, rtol=1e-6)
    assert weights.read(job.model)[1].keys() == set(NAMES)


def test_an_architecture_without_a_pooler_gets_none(tmp_path):
    source = checkpoint(tmp_path / "model", "electra", {NAMES[0]: np.zeros((4, 4), np.float32)})
    assert weights.pooler(source) == {}
