"""The lines that load a saved model and answer texts with it, without this project: for its card."""

from collections.abc import Sequence
from pathlib import Path

from harness.inputs.data.spans import PATTERN

EXAMPLE = 'folder, texts = ".", ["night nurse", "head chef"]'  # who runs the others gives their own in its place
WORDS = [  # as harness/inputs/data/spans.py has them: a letter's accents are of its word
    "signs = map(chr, range(0x300, 0x20000))",
    'marks = "\\u200c\\u200d" + "".join(sign for sign in signs if unicodedata.category(sign)[0] == "M")',
    f'words = [re.findall(rf"{PATTERN}", text) for text in texts]',
]
NAMES = "names = encoder.config.id2label"
POOLED = {
    "mean": [
        '    mask = inputs["attention_mask"].unsqueeze(-1)',
        "    pooled = (hidden * mask).sum(1) / mask.sum(1)",
    ],
    "cls": ["    pooled = hidden[:, 0]"],
}
ANSWERED = {  # from `logits` of an encoder with its head
    "classification": [NAMES, "answers = [(names[int(row.argmax())], float(row.max())) for row in logits.softmax(-1)]"],
    "multilabel": [
        NAMES,
        "answers = [[names[place] for place, one in enumerate(row) if one > 0.5] for row in logits.sigmoid()]",
    ],
    "tagging": [
        f"{NAMES}\nanswers = []",
        "for row, its in enumerate(words):",
        "    first = {}  # of each word, the place of its first piece",
        "    for place, word in enumerate(inputs.word_ids(row)):",
        "        if word is not None:",
        "            first.setdefault(word, place)",
        "    answers.append([(its[word], names[int(logits[row, place].argmax())]) for word, place in first.items()])",
    ],
    "regression": [
        "deviation, mean = encoder.config.number_standard_deviation, encoder.config.number_mean",
        "answers = [deviation * float(number) + mean for (number,) in logits]",
    ],
}
PREDICTED = {  # of a pipeline of scikit-learn
    "classification": "answers = [names[number] for number in model.predict(texts)]",
    "multilabel": "answers = [[names[place] for place, one in enumerate(row) if one] for row in model.predict(texts)]",
    "regression": "answers = [deviation * float(number) + mean for number in model.predict(texts)]",
}


def of_encoder(task: str, length: int, pooling: str | None, kind: str) -> str:
    """Return the lines for a Hugging Face folder with its head beside it.

    `length`: the tokens that texts were cut to; `pooling`: mean or cls, None of tags; `kind`: config.json's model_type.
    They leave `logits`, and `answers`, one for each text.
    """
    tagged = task == "tagging"
    options = ", add_prefix_space=True" if tagged and kind == "roberta" else ""  # byte-level: a word has its space
    texts = "words, is_split_into_words=True" if tagged else "texts"
    return "\n".join([
        *(["import re", "import unicodedata", ""] if tagged else []),
        "import torch",
        "from safetensors.torch import load_file",
        "from transformers import AutoModel, AutoTokenizer",
        "",
        EXAMPLE,
        *(WORDS if tagged else []),
        f"tokenizer = AutoTokenizer.from_pretrained(folder{options})",
        'encoder, head = AutoModel.from_pretrained(folder).eval(), load_file(f"{folder}/head.safetensors")',
        f'inputs = tokenizer({texts}, padding=True, truncation=True, max_length={length}, return_tensors="pt")',
        "with torch.inference_mode():",
        "    hidden = encoder(**inputs).last_hidden_state",
        *([] if tagged else POOLED[pooling or "mean"]),
        f'    logits = {"hidden" if tagged else "pooled"} @ head["weight"].T + head["bias"]',
        *ANSWERED[task],
    ])  # fmt: skip


def of_pipeline(task: str, names: Sequence[str], scale: tuple[float, float]) -> str:
    """Return the lines for a pipeline of scikit-learn, which takes texts.

    `scale`: mean and standard deviation of the numbers that it was trained on.
    """
    told = f"mean, deviation = {scale!r}" if task == "regression" else f"names = {list(names)!r}"
    trusted = 'trusted=["sklearn.multiclass._ConstantPredictor"]'
    loaded = f'model = skops.io.load(f"{{folder}}/model.skops", {trusted})'
    return "\n".join(["import skops.io", "", EXAMPLE, loaded, told, PREDICTED[task]])


def lines(
    model: Path,
    task: str,
    names: Sequence[str],
    length: int,
    pooling: str | None,
    kind: str,
    scale: tuple[float, float],
) -> str | None:
    """Return the lines for the model in a folder, by its files; None where they would take code of this project."""
    if (model / "head.safetensors").is_file():
        return of_encoder(task, length, pooling, kind)
    return of_pipeline(task, names, scale) if (model / "model.skops").is_file() else None
