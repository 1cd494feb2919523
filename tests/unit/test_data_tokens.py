"""Token ids are those of the tokenizer itself, for texts of any length; what makes a new entry."""

import os
import shutil

import numpy as np
import pytest
from data_support import from_file, jobs, rows_of, settings, write_csv
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from harness.base.errors import UserError
from harness.inputs.data import prepare, tokenise, tokens
from recipes.contract.split import Split


@pytest.fixture(autouse=True)
def home(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("FINETUNE_RECIPES_HOME", str(tmp_path_factory.getbasetemp() / "home"))


@pytest.fixture(scope="module")
def word_piece(tmp_path_factory):
    """A BERT-like tokenizer, trained on a few words."""
    encoder = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    encoder.normalizer = normalizers.BertNormalizer()
    encoder.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    words = ["the cook plans direct coordinate activities of nurses", "policies, operations and managers", "café"]
    encoder.train_from_iterator(words, trainers.WordPieceTrainer(vocab_size=150, special_tokens=special))
    encoder.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", None, [("[CLS]", 2), ("[SEP]", 3)])
    encoder.enable_padding(length=50)  # as all-MiniLM-L6-v2's file has it: to be switched off
    path = tmp_path_factory.mktemp("word_piece") / "tokenizer.json"
    encoder.save(str(path))
    return path


@pytest.fixture(scope="module")
def byte_level(tmp_path_factory):
    """A RoBERTa-like tokenizer, whose tokens begin with the space before the word."""
    encoder = Tokenizer(models.BPE())
    encoder.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    encoder.decoder = decoders.ByteLevel()
    words = ["the cook plans direct coordinate activities of nurses", "policies, operations and managers"] * 5
    encoder.train_from_iterator(words, trainers.BpeTrainer(vocab_size=320, special_tokens=["<s>", "</s>"]))
    encoder.post_processor = processors.TemplateProcessing("<s> $A </s>", None, [("<s>", 0), ("</s>", 1)])
    path = tmp_path_factory.mktemp("byte_level") / "tokenizer.json"
    encoder.save(str(path))
    return path


def assert_equal_to_plain_encode(data, path, max_length):
    """Compare all ids and the share truncated with `Tokenizer.encode` of each whole text."""
    result = tokenise(data, path, max_length)
    plain = Tokenizer.from_file(str(path))
    plain.no_padding()
    for name in ("train", "valid", "test"):
        split, truncated = Split(name, data.folder / name, result.folder / name), 0
        for row in range(len(split)):
            plain.no_truncation()
            truncated += len(plain.encode(split.text(row)).ids) > max_length
            plain.enable_truncation(max_length)
            assert split.token_ids[row].tolist() == plain.encode(split.text(row)).ids
        assert result.report["splits"][name]["truncated"] == truncated / len(split)
        assert result.report["splits"][name]["tokens"]["max"] == split.lengths.max()
    return result


@pytest.mark.parametrize("max_length", [3, 8, 128])
def test_ids_are_those_of_the_tokenizer(tmp_path, word_piece, byte_level, max_length):
    odd = ["x" * 300 + " cook", "  cook   plans  ", "cook", "日本語 テキスト", "e\u0301te\u0301", "a\u200bb", "a\nb\tc"]
    data = from_file(write_csv(tmp_path / "a.csv", jobs(60) + [(text, "care") for text in odd]))
    for path in (word_piece, byte_level):
        assert_equal_to_plain_encode(data, path, max_length)


@pytest.mark.parametrize("characters", [4, 64])
def test_long_texts_are_cut_without_a_change(word_piece, byte_level, tmp_path, monkeypatch, characters):
    """Real descriptions, repeated; a head so short that many texts need it doubled."""
    monkeypatch.setenv("FINETUNE_RECIPES_HOME", str(tmp_path / f"home{characters}"))
    monkeypatch.setattr(tokens, "CHARACTERS", characters)
    texts = [text for _, text, _ in rows_of(prepare(settings("onet")), "test")]
    rows = [(f"{text} " * (1 + i % 5), "ab"[i % 2]) for i, text in enumerate(texts)]
    rows += [("y" * 5000 + text, "a") for text in texts[:5]] + [(" " * 3000 + text, "b") for text in texts[:5]]
    data = from_file(write_csv(tmp_path / "a.csv", rows))
    for path in (word_piece, byte_level):
        assert_equal_to_plain_encode(data, path, 16)


def test_text_of_10_mb_costs_little(tmp_path, word_piece, monkeypatch):
    longest = []
    head = tokens._head
    monkeypatch.setattr(tokens, "_head", lambda *where: longest.append(len(head(*where)[0])) or head(*where))
    data = from_file(write_csv(tmp_path / "a.csv", [*jobs(20), ("the cook plans " * 700_000, "care")]))
    tokenise(data, word_piece, 128)
    assert max(longest) <= 64 * 128


def test_only_content_and_length_make_a_new_entry(tmp_path, word_piece, byte_level):
    path = write_csv(tmp_path / "a.csv", jobs(40))
    data = from_file(path)
    first = tokenise(data, word_piece, 16)
    copy = tmp_path / "copy.json"
    shutil.copy(word_piece, copy)
    os.utime(copy, (1, 1))
    path.rename(tmp_path / "b.tsv")
    (tmp_path / "b.tsv").write_text((tmp_path / "b.tsv").read_text().replace(",", "\t"), encoding="utf-8")
    same = from_file(tmp_path / "b.tsv")
    assert same.folder != data.folder and same.digest == data.digest
    assert tokenise(same, copy, 16) == first
    copy.write_text(copy.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    changed = write_csv(tmp_path / "c.csv", [("other", "care"), *jobs(40)])
    others = [tokenise(data, copy, 16), tokenise(data, word_piece, 17), tokenise(data, byte_level, 16)]
    others.append(tokenise(from_file(changed), word_piece, 16))
    assert len({entry.folder for entry in [first, *others]}) == 5


def test_files_are_flat(tmp_path, word_piece):
    data = from_file(write_csv(tmp_path / "a.csv", jobs(40)))
    folder = tokenise(data, word_piece, 16).folder / "train"
    offsets = np.fromfile(folder / "token_ids.offsets.bin", np.int64)
    assert len(offsets) == data.report["splits"]["train"]["rows"] + 1
    assert (folder / "token_ids.values.bin").stat().st_size == 4 * offsets[-1]


def test_unusable_tokenizer(tmp_path, word_piece):
    data = from_file(write_csv(tmp_path / "a.csv", jobs(40)))
    with pytest.raises(UserError, match="no fast tokenizer: .*tokenizer.json is missing"):
        tokenise(data, tmp_path / "tokenizer.json", 16)
    (tmp_path / "tokenizer.json").write_text("{}", encoding="utf-8")
    with pytest.raises(UserError, match="is no fast tokenizer"):
        tokenise(data, tmp_path / "tokenizer.json", 16)
    with pytest.raises(UserError, match="data.max_length=2 leaves no room for text beside 2 special tokens"):
        tokenise(data, word_piece, 2)
    with pytest.raises(UserError, match="data.max_length=0"):
        tokenise(data, word_piece, 0)
