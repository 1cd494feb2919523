"""Whether a training moved its encoder: told by the files, whatever names and precisions they are stored in."""

import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from harness.figures.moved import moved, rounded

START = {"layer.0.weight": [[0.1, -0.2], [0.3, 3.1]], "layer.0.bias": [0.0, 1e-9]}


def written(folder, named, dtype=np.float32, prefix=""):
    folder.mkdir(exist_ok=True)
    save_file({prefix + name: np.array(values, dtype) for name, values in named.items()}, folder / "model.safetensors")
    return folder


def changed(name, where, by):
    values = np.array(START[name], np.float32)
    values[where] += by
    return START | {name: values}


@pytest.mark.parametrize("prefix", ["", "bert."])
@pytest.mark.parametrize(("name", "where"), [("layer.0.weight", (1, 0)), ("layer.0.bias", 1)])
def test_one_weight_that_differs_is_seen(tmp_path, prefix, name, where):
    start = written(tmp_path / "start", START, prefix=prefix)
    assert moved(start, written(tmp_path / "same", START), "fp32") is False
    assert moved(start, written(tmp_path / "other", changed(name, where, 1e-3)), "fp32") is True


def test_a_checkpoint_in_half_precision_is_compared_as_what_it_is_loaded_as(tmp_path):
    start = written(tmp_path / "start", START, np.float16)
    loaded = {name: np.array(values, np.float16) for name, values in START.items()}
    assert moved(start, written(tmp_path / "same", loaded), "fp32") is False


def test_what_bf16_rounds_did_not_move(tmp_path):
    start = written(tmp_path / "start", START)
    # 0.1 and its neighbours in bf16, which has 8 bits of mantissa
    rounded = START | {"layer.0.weight": [[0.10009765625, -0.2001953125], [0.30078125, 3.09375]]}
    rounded["layer.0.bias"] = [0.0, 9.968061931431293e-10]
    same = written(tmp_path / "same", rounded)
    assert moved(start, same, "bf16") is False
    assert moved(start, same, "fp32") is True
    trained = rounded | {"layer.0.weight": [[0.1005859375, -0.2001953125], [0.30078125, 3.09375]]}
    assert moved(start, written(tmp_path / "trained", trained), "bf16") is True


def test_without_weights_that_can_be_compared_nothing_is_said(tmp_path):
    start = written(tmp_path / "start", START)
    assert moved(start, tmp_path / "none", "fp32") is None
    assert moved(start, written(tmp_path / "other", {"gru.weight": [1.0]}), "fp32") is None


def test_a_checkpoint_in_half_precision_that_is_trained_in_bf16_is_rounded_as_what_it_is_loaded_as(tmp_path):
    start = written(tmp_path / "start", {"weight": [1.00390625, 1.01171875]}, np.float16)
    assert moved(start, written(tmp_path / "same", {"weight": [1.0, 1.015625]}), "bf16") is False
    assert moved(start, written(tmp_path / "moved", {"weight": [1.0, 1.0078125]}), "bf16") is True


def test_what_cannot_be_compared_hides_nothing_that_moved(tmp_path):
    """A tensor stored in bf16, and one of another shape, both smaller and so met before the one that differs."""

    def mixed(folder, last):
        folder.mkdir()
        parts = [("a.bf16", "BF16", b"\x80\x3f"), ("b.grown", "F32", np.zeros(last, np.float32).tobytes())]
        parts += [("c.weight", "F32", np.full(9, last, np.float32).tobytes())]
        header, ends = {}, np.cumsum([0, *(len(data) for _, _, data in parts)]).tolist()
        for (name, dtype, data), start, end in zip(parts, ends, ends[1:], strict=False):
            shape = [len(data) // (2 if dtype == "BF16" else 4)]
            header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}
        head = json.dumps(header).encode()  # numpy has no bf16, so the format is written by hand
        body = b"".join(data for _, _, data in parts)
        (folder / "model.safetensors").write_bytes(len(head).to_bytes(8, "little") + head + body)
        return folder

    assert moved(mixed(tmp_path / "start", 2), mixed(tmp_path / "end", 3), "fp32") is True


@pytest.mark.parametrize(
    ("value", "nearest"),
    [
        (1 + 1 / 256, 1.0), (1 + 3 / 256, 1 + 2 / 128), (1 + 5 / 256, 1 + 2 / 128),  # halves, to even
        (1 + 1 / 256 + 2**-23, 1 + 1 / 128), (1 + 3 / 256 - 2**-23, 1 + 1 / 128), (-1 - 3 / 256, -1 - 2 / 128),
        (1 + 1 / 128, 1 + 1 / 128), (0.0, 0.0),
    ],
)  # fmt: skip
def test_bf16_has_seven_bits_behind_the_leading_one_and_is_rounded_to_the_nearest(value, nearest):
    assert rounded(np.array([value], np.float32)).tolist() == [nearest]
