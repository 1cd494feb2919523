"""Somebody's checkpoint of an MXNet, Trax, fairseq or Sonnet encoder -> a Hugging Face folder: docs/leaving.md."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict, cast

from harness.base import environments, home, progress
from harness.base.errors import UserError, nearest, not_here, writing
from harness.config import choices
from harness.runs import store
from harness.runs.code import RECIPES
from harness.runs.launch import worker

SPECIAL = {  # BERT's special tokens, by tokenizer_config.json's names
    "unk_token": "[UNK]", "sep_token": "[SEP]", "pad_token": "[PAD]", "cls_token": "[CLS]", "mask_token": "[MASK]",
}  # fmt: skip
OF_A_TOKENIZER = ("*token*.json", "vocab.*", "merges.txt", "*.model")


class Answer(TypedDict, total=False):
    """What recipes/worker/convert.py says."""

    error: str
    expected: bool  # it is said in words; else the log has more
    left_out: list[str]
    config: dict[str, Any]


@dataclass(frozen=True)
class Asked:
    """What is to be converted, as the command line has it."""

    library: str
    checkpoint: Path
    folder: Path
    like: Path | None = None
    heads: int | None = None
    vocabulary: Path | None = None
    names: Path | None = None


def libraries() -> list[str]:
    """Return the libraries whose checkpoints can be read: the recipes whose room has a leaving.py."""
    return [name for name in choices("recipe") if (RECIPES / name / "leaving.py").exists()]


def check(asked: Asked) -> None:
    """Refuse what can be seen not to be before anything is read."""
    if asked.library not in (known := libraries()):
        raise UserError(f"{asked.library}: there are {', '.join(known)}.{nearest(asked.library, known)}", code=2)
    folder, name = asked.checkpoint.parent, asked.checkpoint.name
    if not (folder.is_dir() and any(path.name.startswith(name) for path in folder.iterdir())):  # TensorFlow has several
        raise UserError(f"CHECKPOINT: {not_here(asked.checkpoint, 'file or folder')}", code=2)
    if asked.folder.exists() and (not asked.folder.is_dir() or any(asked.folder.iterdir())):
        raise UserError(f"{asked.folder} is there already, and nothing is written over: give a new FOLDER.", code=2)
    if asked.like and not asked.like.is_dir():
        raise UserError(f"--like: {not_here(asked.like, 'folder')}", code=2)


def convert(asked: Asked) -> Path:
    """Write the folder, whole or not at all; UserError says what is wrong with what was given."""
    check(asked)
    like = read_json("--like", asked.like / "config.json") if asked.like else None
    names = read_json("--names", asked.names) if asked.names else None
    pieces = read_pieces(asked.vocabulary) if asked.vocabulary else None
    python = environments.ensure(environment(asked.library)).python
    with writing("FOLDER", asked.folder), beside(asked.folder) as place:
        made = place / "folder"
        made.mkdir()
        order = {"library": asked.library, "checkpoint": str(asked.checkpoint), "folder": str(made), "names": names}
        answer = perform({**order, "like": like, "told": told(asked.heads, pieces)}, python, place)
        known = tokenizer(asked, pieces, made, answer["config"])
        if asked.folder.exists():
            asked.folder.rmdir()  # an empty one
        made.rename(asked.folder)
    report(answer, known)
    return asked.folder


@contextmanager
def beside(folder: Path) -> Iterator[Path]:
    """Yield a place on the disk of a folder that is to be made, and clear it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as place:
        yield Path(place)


def told(heads: int | None, pieces: list[str] | None) -> dict[str, int]:
    """Return what the command line says of config.json."""
    found = {"num_attention_heads": heads} if heads else {}
    return {**found, **({"pad_token_id": pieces.index(SPECIAL["pad_token"])} if pieces else {})}


def environment(library: str) -> str:
    """Return the environment that has the library: its recipe's."""
    from harness.results.traits import libraries

    return next(one.settings["environment"] for one in libraries() if one.recipe == library)


def read_json(option: str, path: Path) -> dict[str, Any]:
    """Return the object in a file of JSON."""
    if not path.is_file():
        raise UserError(f"{option}: {not_here(path, 'file')}", code=2)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{option}: {path} is not JSON: {error}", code=2) from None
    if not isinstance(found, dict):
        raise UserError(f'{option}: {path} is no object, {{"name": "value", …}}.', code=2)
    return found


def perform(order: dict[str, Any], python: Path, place: Path) -> Answer:
    """Have the library read the checkpoint and write weights and config.json; return what it said."""
    store.write_json(place / "job.json", order)
    with (
        progress.step(f"reading {order['checkpoint']}"),
        worker(place, python, "convert", threads=1, module="recipes.worker.convert") as process,
    ):
        process.wait()
    written = place / "converted.json"
    answer = cast(Answer, json.loads(written.read_text(encoding="utf-8")) if written.is_file() else {})
    if "config" in answer:
        return answer
    said = f"{order['checkpoint']} was not converted: {answer.get('error', f'exit code {process.returncode}')}"
    if answer.get("expected"):
        raise UserError(said)
    log = home.new_log("convert")
    shutil.copyfile(place / "log.txt", log)
    raise UserError(said, log=log)


def tokenizer(asked: Asked, pieces: list[str] | None, folder: Path, config: dict[str, Any]) -> int | None:
    """Write the tokenizer's files, where one was given; return how many pieces it knows."""
    from tokenizers import Tokenizer

    if asked.like:
        for pattern in OF_A_TOKENIZER:
            for path in asked.like.glob(pattern):
                shutil.copy(path, folder)
    if pieces:
        word_pieces(pieces, folder, config["max_position_embeddings"])
    path = folder / "tokenizer.json"
    if not path.is_file():
        return None
    try:
        known = Tokenizer.from_file(str(path)).get_vocab_size()
    except Exception as error:  # of the Rust side it has no other class
        raise UserError(f"--like: {asked.like}/tokenizer.json is no tokenizer: {error}", code=2) from None
    if known > config["vocab_size"]:
        said = f"the tokenizer knows {known:,} pieces, and the checkpoint has {config['vocab_size']:,} word embeddings"
        raise UserError(f"{'--vocabulary' if asked.vocabulary else '--like'}: {said}: they are not of one model.", 2)
    return known


def word_pieces(pieces: list[str], folder: Path, longest: int) -> None:
    """Write BERT's tokenizer of these pieces: lower case unless one of them has capitals."""
    from tokenizers import BertWordPieceTokenizer

    lower = all(piece == piece.lower() for piece in pieces if piece not in SPECIAL.values())
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    BertWordPieceTokenizer(vocabulary, lowercase=lower).save(str(folder / "tokenizer.json"))
    own = {"tokenizer_class": "BertTokenizer", "do_lower_case": lower, "model_max_length": longest, **SPECIAL}
    store.write_json(folder / "tokenizer_config.json", own)
    (folder / "vocab.txt").write_text("\n".join(pieces) + "\n", encoding="utf-8")


def read_pieces(path: Path) -> list[str]:
    """Return BERT's word pieces by number: of vocab.txt, a piece a line, or of what gluonnlp's Vocab.to_json wrote."""
    if not path.is_file():
        raise UserError(f"--vocabulary: {not_here(path, 'file')}", code=2)
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise UserError(f"--vocabulary: {path} is not UTF-8.", code=2) from None
    try:
        pieces = [str(piece) for piece in json.loads(text)["idx_to_token"]]
    except (ValueError, KeyError, TypeError):
        pieces = text.rstrip("\n").split("\n")
    if missing := [token for token in SPECIAL.values() if token not in pieces]:
        said = f"{path} has no {', '.join(missing)}, so it is not of BERT's word pieces"
        raise UserError(f"--vocabulary: {said}. --like FOLDER brings another model's tokenizer.json.", code=2)
    return pieces


def report(answer: Answer, known: int | None) -> None:
    """Say what was converted, what was left out, and what is still missing."""
    config, apart = answer["config"], answer["left_out"]
    progress.say(
        f"{config['architectures'][0]}: {config['num_hidden_layers']} layers of {config['hidden_size']}, "
        f"{config['num_attention_heads']} heads, {config['vocab_size']:,} words, "
        f"{config['max_position_embeddings']:,} positions, {config['hidden_act']}"
    )
    if apart:
        names = ", ".join(apart[:4]) + (f" and {len(apart) - 4:,} more" if len(apart) > 4 else "")
        progress.say(f"left out, since they are no part of that: {names}")
    if known is None:
        progress.say("without a tokenizer: --like FOLDER or --vocabulary FILE brings one")
