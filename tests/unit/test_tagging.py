"""Spans in text: read from what tools export, tagged by words, cut into windows and put together, scored, answered."""

import json
import unicodedata

import numpy as np
import pytest
from data_support import settings, write_csv, write_json_lines
from seqeval.metrics.sequence_labeling import precision_recall_fscore_support
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from harness.base.errors import UserError
from harness.config.tasks import is_conll
from harness.figures.metrics import tagging
from harness.figures.metrics.counts import micro_f1
from harness.figures.outputs import of_split
from harness.inputs.data import prepare
from harness.inputs.data.spans import Span, Spans, Unusable, joined, read, spans_of, tags, words_of
from harness.inputs.data.windows import Pieces, windows, write
from harness.use.answers import OfSpans
from harness.use.predict import Tagged
from recipes.contract.ragged import Ragged
from recipes.contract.split import Split, kept
from recipes.contract.tasks import IGNORED, TASKS

TASK = TASKS["tagging"]
TEXT = "Vous maîtrisez Python, le SQL avancé et l'anglais."
SPANS = [(15, 21, "technique"), (26, 36, "technique"), (42, 49, "langue")]
NAMES = ["B-langue", "B-technique", "I-langue", "I-technique", "O"]


def postings(number, label=lambda spans: [dict(zip(("start", "end", "label"), one, strict=True)) for one in spans]):
    return [{"text": f"{TEXT} Poste {row}", "label": label(SPANS if row % 3 else SPANS[:1])} for row in range(number)]


def prepared(path, **changes):
    return prepare(settings("csv", train=str(path), text="text", label="label", **changes), "tagging")


def spans_in(data):
    """Return the spans of all rows, as their tags and words say them."""
    found = {}
    for name in ("train", "valid", "test"):
        split = Split(name, data.folder / name, None, TASK, len(data.labels))
        for row in range(len(split)):
            names = [data.labels[tag] for tag in split.labels[row]]
            found[split.text(row)] = [tuple(span) for span, _, _ in spans_of(split.words[row].tolist(), names)]
    return found


FORMS = {
    "Prodigy": lambda spans: [{"start": a, "end": b, "label": label} for a, b, label in spans],
    "doccano": lambda spans: [list(one) for one in spans],
    "doccano relations": lambda spans: [{"start_offset": a, "end_offset": b, "label": c} for a, b, c in spans],
    "Label Studio": lambda spans: [{"start": a, "end": b, "text": TEXT[a:b], "labels": [c]} for a, b, c in spans],
    "JSON as text": lambda spans: json.dumps([list(one) for one in spans]),
}


@pytest.mark.parametrize("form", FORMS)
def test_what_tools_export_is_the_same_data(form, tmp_path):
    data = prepared(write_json_lines(tmp_path / "postings.jsonl", postings(60, FORMS[form])))
    assert data.labels == NAMES
    found = spans_in(data)
    assert len(found) == 60
    for text, spans in found.items():
        assert spans == (SPANS if int(text.split()[-1]) % 3 else SPANS[:1])
    assert data.digest == prepared(write_json_lines(tmp_path / "others.jsonl", postings(60))).digest


def test_a_csv_holds_spans_as_json(tmp_path):
    rows = [(one["text"], json.dumps(one["label"])) for one in postings(60)]
    table, lines = write_csv(tmp_path / "a.csv", rows), write_json_lines(tmp_path / "a.jsonl", postings(60))
    assert prepared(table).digest == prepared(lines).digest


def test_words_with_tags_are_the_same_in_lists_and_in_a_file_with_a_word_a_line(tmp_path):
    sentences = [(["Python", "et", "SQL", f"n°{n}"], ["B-outil", "O", "B-outil", "I-outil"]) for n in range(30)]
    lists = write_json_lines(tmp_path / "a.jsonl", [{"text": words, "label": its} for words, its in sentences])
    blocks = ["\n".join(f"{word}\tNN\t{tag}" for word, tag in zip(*one, strict=True)) for one in sentences]
    (tmp_path / "a.conll").write_text("-DOCSTART- -X- O\n\n" + "\n\n".join(blocks), encoding="utf-8")
    conll = prepare(settings("csv", train=str(tmp_path / "a.conll")), "tagging")
    assert is_conll("a.conll") and is_conll("A.BIO.gz") and not is_conll("a.csv")
    assert conll.digest == prepared(lists).digest
    assert set(map(tuple, spans_in(conll)["Python et SQL n°7"])) == {(0, 6, "outil"), (10, 17, "outil")}


def test_the_same_words_as_a_text_are_other_data(tmp_path):
    """Words that are given are not parted again: "l'anglais" stays one."""
    words = [{"text": ["l'anglais", str(n)], "label": ["B-langue", "O"]} for n in range(30)]
    texts = [{"text": f"l'anglais {n}", "label": [[0, 9, "langue"]]} for n in range(30)]
    given, found = (
        prepared(write_json_lines(tmp_path / f"{name}.jsonl", rows)) for name, rows in (("a", words), ("b", texts))
    )
    assert given.digest != found.digest
    assert given.report["splits"]["train"]["words"] == 2 * given.report["splits"]["train"]["rows"]
    assert found.report["splits"]["train"]["words"] == 4 * found.report["splits"]["train"]["rows"]


def test_spans_of_some_labels_alone_may_be_taken_and_what_cuts_a_word_is_widened_and_told(tmp_path):
    rows = [{"text": f"développeur {n}", "label": [[0, 5, "a"], [3, 11, "b"]]} for n in range(30)]
    data = prepared(write_json_lines(tmp_path / "a.jsonl", rows), span_labels=["a"])
    assert data.labels == ["B-a", "I-a", "O"]
    assert spans_in(data)["développeur 4"] == [(0, 11, "a")]
    assert any("30 of 30 spans do not begin and end where words do" in line for line in data.report["told"])


@pytest.mark.parametrize(
    ("label", "said"),
    [
        ([[15, 99, "x"]], "a span outside the text: row 3"),
        ([[-1, 5, "x"]], "a span outside the text"),
        ([[9, 5, "x"]], "a span that ends before it begins"),
        ([[4, 5, "x"]], "a span of nothing, or of spaces alone"),
        ([[0, 10, "x"], [5, 14, "y"]], "spans that overlap (data.span_labels=[LABEL,…]"),
        ([[15, 17, "x"], [18, 21, "y"]], "spans that overlap once they are widened to whole words"),
        ([{"start": 14, "end": 20, "label": "x", "text": "Python"}], "whose own `text` is not what stands there"),
        ([{"start": 0, "end": 4}], "a span without start, end or label"),
        ([[0, 4]], "a span that is neither {start, end, label} nor [start, end, label]"),
        ([[0, "4", "x"]], "a span whose start or end is no whole number"),
        ([[0, 4, ""]], "a span whose label is no text, or several"),
        ([[0, 4, ["x", "y"]]], "a span whose label is no text, or several"),
        ("no json", "spans that are no list, and none as JSON"),
        (None, "no list of spans (an empty one is a text without)"),
        (["B-x", "O"], "a span that is neither"),
    ],
)
def test_spans_that_cannot_be_right_are_told_with_their_row(label, said, tmp_path):
    rows = postings(12)
    rows[2]["label"] = label
    with pytest.raises(UserError) as error:
        prepared(write_json_lines(tmp_path / "postings.jsonl", rows))
    assert said in str(error.value)
    assert "row 3" in str(error.value)


@pytest.mark.parametrize(
    ("words", "its", "said"),
    [
        (["a", "b"], ["O", "I-x"], "a tag that goes on with a span that does not begin"),
        (["a", "b"], ["B-x", "I-y"], "a tag that goes on with a span that does not begin"),
        (["a", "b", "c"], ["B-x", "O", "I-x"], "a tag that goes on with a span that does not begin"),
        (["a", "b"], ["B-x"], "another number of tags than of words"),
        (["a", "b"], ["x", "O"], "a tag that is neither O, nor B-LABEL, nor I-LABEL"),
        (["a b", "c"], ["O", "O"], "a word that is empty or has a space in it"),
        (["a", ""], ["O", "O"], "a word that is empty or has a space in it"),
        (["a", 3], ["O", "O"], "words or tags that are no list of texts"),
        ("a b", [[0, 1, "x"]], "a list of words where the first row has a text, or a text where it has words"),
    ],
)
def test_tags_that_cannot_be_right_are_told_with_their_row(words, its, said, tmp_path):
    rows = [{"text": ["Python", str(n)], "label": ["B-x", "O"]} for n in range(12)]
    rows[2] = {"text": words, "label": its}
    with pytest.raises(UserError) as error:
        prepared(write_json_lines(tmp_path / "tags.jsonl", rows))
    assert said in str(error.value)
    assert "row 3" in str(error.value)


def test_a_file_with_a_word_a_line_says_where_its_tag_is_missing(tmp_path):
    (tmp_path / "a.conll").write_text("Python B-x\net O\nSQL\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"a\.conll, line 3: a word and its tag are wanted.*`SQL` alone"):
        prepare(settings("csv", train=str(tmp_path / "a.conll")), "tagging")


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("et O\nPython I-x", "line 2: a tag that goes on with a span that does not begin.*`I-x` after `O`"),
        ("et O\n\nPython I-x", "line 3: a tag that goes on.*`I-x`, the first of its sentence"),
        ("et O\nPython S-x", r"line 2: a tag that is neither O, nor B-LABEL, nor I-LABEL \(IOB2\); there is `S-x`"),
    ],
)
def test_a_tag_that_cannot_be_is_told_with_its_line(lines, said, tmp_path):
    (tmp_path / "a.conll").write_text(lines, encoding="utf-8")
    with pytest.raises(UserError, match=said):
        prepare(settings("csv", train=str(tmp_path / "a.conll")), "tagging")


def test_comments_between_sentences_are_no_words_and_a_file_of_words_has_no_columns(tmp_path):
    lines = "".join(f"# text = Python {n}\n# id\nPython B-x\n# O\n{n} O\n\n" for n in range(20))
    (tmp_path / "a.conll").write_text(lines, encoding="utf-8")
    plain = settings("csv", train=str(tmp_path / "a.conll"))
    assert "Python # 7" in spans_in(prepare(plain, "tagging"))
    with pytest.raises(UserError, match="has none.\nLeave both out"):
        prepare({**plain, "text": ["text"], "label": "tags"}, "tagging")


def test_an_unknown_label_in_test_is_told_and_so_is_data_without_spans(tmp_path):
    train = write_json_lines(tmp_path / "train.jsonl", postings(30))
    test = write_json_lines(tmp_path / "test.jsonl", [{"text": "un autre", "label": [[0, 2, "autre"]]}])
    with pytest.raises(UserError, match=r"1 do not occur in train[\s\S]*`autre`: row 1"):
        prepared(train, test=str(test))
    nothing = write_json_lines(tmp_path / "none.jsonl", [{"text": f"rien {n}", "label": []} for n in range(9)])
    with pytest.raises(UserError, match="all rows have the same labels, none: there is nothing to learn"):
        prepared(nothing)


def test_a_label_wanted_that_no_span_has_is_told_with_the_nearest(tmp_path):
    file = write_json_lines(tmp_path / "a.jsonl", postings(30))
    with pytest.raises(UserError, match="no span has the label `lange`; there are langue, technique. Did you mean"):
        prepared(file, span_labels=["technique", "lange"])


def test_an_accent_that_stands_apart_is_of_its_letter_s_word():
    for form in ("NFC", "NFD"):
        text = unicodedata.normalize(form, "La sécurité à Évry, हिन्दी et ❤️.")
        words = [unicodedata.normalize("NFC", text[start:end]) for start, end in words_of(text)]
        assert words == ["La", "sécurité", "à", "Évry", ",", "हिन्दी", "et", "❤️", "."]


def test_tags_say_the_spans_they_were_made_of():
    """Of random spans on the borders of words, none touching another of its label without its B."""
    draw = np.random.default_rng(0)
    for _ in range(300):
        text = " ".join("".join(draw.choice(list("abé'1"), draw.integers(1, 6))) for _ in range(draw.integers(1, 12)))
        words, place, spans = words_of(text), 0, []
        while place < len(words):
            end = min(len(words), place + int(draw.integers(1, 4)))
            if draw.random() < 0.5:
                spans.append(Span(words[place][0], words[end - 1][1], str(draw.choice(["x", "y"]))))
            place = end
        found, cut = tags(words, Spans(spans))
        assert cut == 0
        assert [span for span, _, _ in spans_of(words, found)] == spans
        again = joined([text[a:b] for a, b in words], found)[1]
        assert [(one.label, len(one)) for one in again] == [(one.label, len(one)) for one in spans]
        assert read(text, [list(one) for one in spans]) == Spans(spans)
        assert not isinstance(read(text, [dict(one._asdict()) for one in spans]), Unusable)


@pytest.fixture
def tokenizer(tmp_path):
    """One that cuts each letter off, with special tokens at both ends, and knows no é."""
    vocabulary = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3} | {
        letter: place for place, letter in enumerate("abcdefg", 4)
    }
    vocabulary |= {f"##{letter}": len(vocabulary) + place for place, letter in enumerate("abcdefg")}
    made = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    made.save(str(tmp_path / "tokenizer.json"))
    return tmp_path / "tokenizer.json"


def test_windows_overlap_and_each_word_counts_in_one_of_them(tokenizer, tmp_path):
    draw = np.random.default_rng(1)
    texts = [
        " ".join("".join(draw.choice(list("abc"), draw.integers(1, 9))) for _ in range(size))
        for size in (1, 3, 40, 200)
    ]
    words = [words_of(text) for text in texts]
    labels = Ragged.of([np.arange(len(its), dtype=np.int32) % 5 for its in words])
    data, folder = tmp_path / "data", tmp_path / "windows"
    for place in (data, folder):
        place.mkdir()
    Ragged.of([np.frombuffer(text.encode(), np.uint8) for text in texts]).write(data, "texts")
    Ragged.of([np.array(its, np.int32) for its in words]).write(data, "words")
    np.array([7, 8, 3, 4], np.int64).tofile(data / "row_ids.bin")
    labels.write(data, "labels")
    report = write(Pieces(tokenizer, 24), data, folder)
    split = Split("test", folder, folder, TASK, 5)
    assert report["windows"] == len(split) > 4
    assert split.lengths.max() <= 24
    for row in range(len(split)):
        ids, tagged, where = split.token_ids[row], split.labels[row], split.words[row]
        assert (ids[0], ids[-1], len(ids)) == (2, 3, len(tagged))
        assert ((where[:, 1] > where[:, 0]) == (tagged != IGNORED)).all()
        letters = "abcdefg"
        for place in np.flatnonzero(tagged != IGNORED):  # the token of a word is its first letter, where it stands
            assert letters[ids[place] - 4] == split.text(row)[where[place, 0]]
    logits = np.random.default_rng(2).normal(size=(split.lengths.sum(), 5)).astype(np.float32)
    true, said = of_split("tagging", kept(split, logits), (0.0, 1.0))
    assert np.array_equal(true.values, labels.values)
    assert np.array_equal(true.offsets, labels.offsets)
    assert len(said.values) == len(true.values)
    parts = [split.text(row) for row in range(len(split)) if split.row_ids[row] == 4]
    shared = [one for one, other in zip(parts, parts[1:], strict=False) if one.split()[-1] in other.split()]
    assert shared, "windows of one text share words"


@pytest.mark.parametrize("sizes", [[1] * 30, [3, 9, 1, 1, 5, 7, 2, 2, 9, 4], [9] * 4, [1], [10, 1, 10]])
def test_windows_are_whole_and_in_order(sizes):
    found = list(windows(sizes, 10))
    assert [place for window in found for place in range(window.own, window.other)] == list(range(len(sizes)))
    for window in found:
        assert window.first <= window.own <= window.other <= window.end
        assert sum(sizes[window.first : window.end]) <= 10


def test_a_word_that_the_tokenizer_leaves_out_is_unknown_and_one_that_is_too_long_is_cut(tokenizer):
    pieces = Pieces(tokenizer, 12)
    assert list(pieces.of([["a", "é", "abc"]])) == [[[4], [1], [4, 12, 13]]]
    ((word,),) = list(pieces.of([["a" * 50]]))
    assert len(word) == pieces.room == 10


def drawn(seed, rows=60):
    draw = np.random.default_rng(seed)
    offsets = np.cumsum([0, *draw.integers(1, 12, rows)])
    labels = Ragged(draw.choice(5, offsets[-1], p=[0.2, 0.2, 0.1, 0.2, 0.3]).astype(np.int32), offsets)
    logits = np.eye(5, dtype=np.float32)[labels.values] + draw.normal(0, 0.5, (offsets[-1], 5)).astype(np.float32)
    return labels, Ragged(logits, offsets)


def test_the_figures_are_seqeval_s_and_follow_from_the_counts_of_texts():
    labels, logits = drawn(0)
    found = tagging.scores(labels, logits, NAMES)
    said = tagging.predicted(logits)
    names = [tagging.named(one, NAMES) for one in (labels, said)]
    by_type = precision_recall_fscore_support(*names, average=None, zero_division=0)
    details = tagging.details(labels, logits, NAMES)["classes"]
    for place, label in enumerate(("langue", "technique")):
        expected = [float(column[place]) for column in by_type]
        assert [details[label][key] for key in ("precision", "recall", "f1", "rows")] == pytest.approx(expected)
    true, *both = np.moveaxis(tagging.counts(labels, said, NAMES), 1, 0)
    sums = tagging.of_spans(true, np.stack(both, 1)[:, None]).sum(0)
    assert micro_f1(sums)[0] == pytest.approx(found["span_f1"])
    assert 0 < found["strict_f1"] < 1
    assert found["spans"] == true.sum()
    assert found["token_accuracy"] == (labels.values == said.values).mean()


def test_answers_say_where_spans_are_and_what_they_say():
    words, logits = words_of(TEXT), np.full((len(words_of(TEXT)), 5), -5, np.float32)
    its, _ = tags(words, Spans(Span(*one) for one in SPANS))
    logits[np.arange(len(words)), [NAMES.index(tag) for tag in its]] = 5
    (row,), (nothing,) = OfSpans(TASK, NAMES).rows([Tagged(TEXT, words, logits), None])
    assert nothing is None
    assert [(one["start"], one["end"], one["label"]) for one in row] == SPANS
    assert [one["text"] for one in row] == ["Python", "SQL avancé", "anglais"]
    assert all(0.99 < one["probability"] < 1 for one in row)
    ((as_text,),) = OfSpans(TASK, NAMES, lists=False).rows([Tagged(TEXT, words, logits)])
    assert json.loads(as_text) == row
