"""The pretrained encoder: where it is found, and whether it is what it should be.

A model is a Hugging Face folder: config.json, model.safetensors, tokenizer.json. It is looked for in a local folder,
in the hub's local cache, on the hub, and in a package that carries it, or what it was in 4 bits. Pickled weights are
refused, since loading one can run any code.
"""

import hashlib
import json
import math
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.base import home, packages, progress
from harness.base.errors import UserError, not_here
from harness.config.settings import Model as Choice
from harness.inputs import quantised

WEIGHTS, CONFIG, TOKENIZER = "model.safetensors", "config.json", "tokenizer.json"
ROBERTA = ("roberta", "camembert", "xlm-roberta")  # of its family, where positions begin after the id of padding
SHAPE = {"num_hidden_layers", "hidden_size", "num_attention_heads", "intermediate_size"}
HEAD = 1 << 16  # characters of a tokenizer.json that hold its special tokens
SECONDS = 10  # to wait for the hub's first answer
PICKLES = ("pytorch_model.bin", "model.pt", "model.pkl", "pytorch_model.pt")


@dataclass(frozen=True)
class Model:
    """A verified encoder; `digest` is the SHA-256 of its weights, `config` its config.json.

    `drawn` tells random weights by what they were drawn for, whatever the seed; None: they are not random.
    """

    name: str
    folder: Path
    digest: str
    config: Mapping[str, Any]
    drawn: str | None = None

    @property
    def tokenizer(self) -> Path:
        return self.folder / TOKENIZER

    @property
    def longest(self) -> int:
        """The most tokens a text can have; RoBERTa's positions start after the padding id."""
        positions = int(self.config.get("max_position_embeddings", 512))
        return positions - 2 if self.config.get("model_type") in ROBERTA else positions

    @property
    def hidden_size(self) -> int:
        return int(self.config.get("hidden_size") or self.config["dim"])  # dim: DistilBERT

    def dropout(self, chosen: float | None) -> dict[str, float]:
        """Return the rates of dropout: hidden (also before the head) and attention; `chosen` stands for both."""
        names = {
            "hidden": ("hidden_dropout_prob", "dropout"),
            "attention": ("attention_probs_dropout_prob", "attention_dropout"),
        }
        own = {key: [self.config[name] for name in both if name in self.config] for key, both in names.items()}
        return {key: float((own[key] or [0.1])[0] if chosen is None else chosen) for key in names}


def find(chosen: Choice) -> Model:
    """Find the model that `chosen` (conf/model/*.yaml) describes, and verify its files."""
    model = pretrained(chosen)
    shape = dict(chosen.shape or {})
    if chosen.from_scratch is None:
        if shape:
            raise UserError(
                "model.shape: pretrained weights have a shape of their own; give model.from_scratch=SEED.", 2
            )
        return model
    return drawn(model, chosen.from_scratch, shape)


def pretrained(chosen: Choice) -> Model:
    """Find the model with its pretrained weights."""
    if chosen.path:
        own = Path(chosen.path).expanduser()
        if not own.is_dir():
            raise UserError(f"model.path: {not_here(own, 'folder')}")
        return verified(chosen, own.absolute(), chosen.sha256)
    tried = []
    for source in (hub_cache, carried_here, hub, carried, in_4_bits):
        folder, why_not = source(chosen)
        if folder and source is in_4_bits:
            name = f"{chosen.name}_4bit"
            progress.say(f"model: {chosen.name} as {chosen.package_4bit} carries it, in 4 bits: {name} in the results")
            return replace(verified(chosen, folder, None), name=name)
        if folder:
            return verified(chosen, folder, chosen.sha256 or blob_digest(folder / WEIGHTS))
        if why_not:
            tried.append(why_not)
    raise UserError(
        f"the model {chosen.name} was not found. Tried:\n  "
        + "\n  ".join(tried)
        + f"\nOn a machine that reaches the hub, run `hf download {chosen.hub} --local-dir FOLDER`, copy the folder "
        f"here, and give model.path=FOLDER; or copy that machine's hub cache and set HF_HOME to it."
    )


def drawn(model: Model, seed: int, shape: dict[str, int]) -> Model:
    """Return the architecture with random weights, as transformers' BERT draws those that it does not load.

    Matrices and embeddings from a normal distribution (`initializer_range`), LayerNorm 1, biases 0, padding 0.
    `shape` has what differs from the model's config.json: sizes, layers, heads.
    """
    check_shape(model, shape)
    architecture = "-".join([model.digest[:16], *(f"{key}={value}" for key, value in sorted(shape.items()))])
    place = home.home() / "from_scratch" / f"{architecture}-{seed}"
    config = {**model.config, **shape}
    with home.build_beside(place, "drawing weights") as folder:
        if folder:
            write_drawn(model, config, seed, folder)
    name = model.name if shape else f"{model.name}_from_scratch"
    return Model(name, place, home.sha256(place / WEIGHTS), config, architecture)


def check_shape(model: Model, shape: dict[str, int]) -> None:
    """Refuse shapes that cannot be, or that cannot be told from the weights that there are."""
    for key, value in shape.items():
        if key not in SHAPE or key not in model.config:
            there = ", ".join(sorted(SHAPE & model.config.keys())) or "none"
            raise UserError(f"model.shape.{key}: of {model.name} there are {there}.", 2)
        if not (isinstance(value, int) and value > 0):
            raise UserError(f"model.shape.{key}={value}: a whole number above 0 is needed.", 2)
    layers, most = shape.get("num_hidden_layers", 1), model.config.get("num_hidden_layers", 1)
    if layers > most:
        raise UserError(f"model.shape.num_hidden_layers={layers}: {model.name} has {most}; take as many or fewer.", 2)
    config = {**model.config, **shape}
    if shape and config["hidden_size"] % config["num_attention_heads"]:
        heads = config["num_attention_heads"]
        raise UserError(f"model.shape: a hidden_size of {config['hidden_size']} is not a multiple of {heads} heads.", 2)


def write_drawn(model: Model, config: Mapping[str, Any], seed: int, folder: Path) -> None:
    """Write a model folder with random weights: tensors of the model's names, in the shapes of `config`."""
    import numpy as np
    from safetensors.numpy import load_file, save_file

    generator, deviation, weights = np.random.default_rng(seed), config.get("initializer_range", 0.02), {}
    sizes: dict[int, int] = {
        model.config[key]: config[key] for key in ("hidden_size", "intermediate_size") if key in config
    }
    for name, values in sorted(load_file(model.folder / WEIGHTS).items()):
        layer = re.search(r"\blayer\.(\d+)\.", name)
        if layer and int(layer[1]) >= config.get("num_hidden_layers", math.inf):
            continue
        shape = tuple(sizes.get(int(size), int(size)) for size in values.shape)
        if values.dtype.kind == "f" and values.ndim > 1:
            values = generator.normal(0, deviation, shape).astype(np.float32)
        elif values.dtype.kind == "f":  # of LayerNorm, or a bias
            values = np.full(shape, name.endswith("weight"), np.float32)
        if name.endswith("word_embeddings.weight"):
            values[config.get("pad_token_id") or 0] = 0
        weights[name] = values
    save_file(weights, folder / WEIGHTS)
    for path in model.folder.iterdir():
        if path.is_file() and path.name not in (WEIGHTS, CONFIG):
            shutil.copyfile(path, folder / path.name)
    (folder / CONFIG).write_text(json.dumps(config, indent=1), encoding="utf-8")


def hub_cache(chosen: Choice) -> tuple[Path | None, str | None]:
    """Look in the hub's local cache."""
    if not chosen.hub:
        return None, None
    from huggingface_hub import try_to_load_from_cache

    path = try_to_load_from_cache(chosen.hub, WEIGHTS, revision=chosen.revision)
    folder = Path(path).parent if isinstance(path, str) else None
    if folder and all((folder / name).exists() for name in (CONFIG, TOKENIZER)):
        return folder, None
    return None, "the hub's local cache: not there"


def carried_here(chosen: Choice) -> tuple[Path | None, str | None]:
    """Take the package that carries the model if it is here already: no network is needed for it."""
    if chosen.package and packages.folder_of(chosen.package).exists():
        return carried(chosen)
    return None, None


def hub(chosen: Choice) -> tuple[Path | None, str | None]:
    """Download from the hub."""
    if not chosen.hub:
        return None, "the hub: model.hub names none"
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    wanted = [WEIGHTS, CONFIG, "*token*.json", "vocab.*", "merges.txt", "*.model"]
    where = f"the hub ({chosen.hub}, revision {chosen.revision})"
    try:
        with progress.step(f"asking the hub for {chosen.hub}"):
            HfApi().model_info(chosen.hub, revision=chosen.revision, timeout=SECONDS)  # it tries once
            folder = snapshot_download(chosen.hub, revision=chosen.revision, allow_patterns=wanted)
        return Path(folder), None
    except (HfHubHTTPError, OSError, ValueError) as error:
        return None, f"{where}: {str(error).strip().splitlines()[0]}"
    except Exception:  # no connection, a proxy's refusal, a broken certificate, …: many classes
        return None, f"{where}: it cannot be reached"


def carried(chosen: Choice) -> tuple[Path | None, str | None]:
    """Fetch the package that carries the model."""
    if not chosen.package:
        return None, "a package that carries it: none is known"
    if not chosen.sha256:
        return None, f"the package {chosen.package}: model.sha256 is needed, to know its file by"
    try:
        path = packages.carried(chosen.package, f"{chosen.package_folder}/{WEIGHTS}", chosen.sha256)
    except UserError as error:
        return None, f"the package {chosen.package}: {error}"
    return path.parent, None


def in_4_bits(chosen: Choice) -> tuple[Path | None, str | None]:
    """Fetch the package that carries the model in 4 bits: what comes of it is another model."""
    if not chosen.package_4bit:
        return None, None
    try:
        return quantised.folder_of(chosen.package_4bit), None
    except UserError as error:
        return None, f"the package {chosen.package_4bit}, which carries it in 4 bits: {error}"


def blob_digest(path: Path) -> str | None:
    """Return the SHA-256 that the hub's cache files a large file under, if it lies there."""
    name = path.resolve().name
    return name if re.fullmatch(r"[0-9a-f]{64}", name) else None


def verified(chosen: Choice, folder: Path, expected: str | None) -> Model:
    """Return the model in `folder` if its files are there, whole and what they should be."""
    if not (folder / WEIGHTS).exists():
        refuse_pickles(folder)
    for name in (CONFIG, WEIGHTS, TOKENIZER):
        if not (folder / name).is_file():
            hint = " (AutoTokenizer.from_pretrained(…).save_pretrained(FOLDER) writes it)" if name == TOKENIZER else ""
            raise UserError(f"the model folder {folder} has no {name}{hint}.")
    try:
        values = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{folder / CONFIG} is not JSON: {error}") from None
    check_whole(folder / WEIGHTS)
    digest = home.sha256(folder / WEIGHTS)
    if expected and digest != expected:
        raise UserError(
            f"wrong checksum: {folder / WEIGHTS}\n  expected sha256 {expected}\n  found    sha256 {digest}\n"
            "The file is damaged or another one. Delete it and fetch it again (or mend model.sha256)."
        )
    return of_its_tokenizer(Model(chosen.name, folder, digest, values))


def of_its_tokenizer(model: Model) -> Model:
    """Return the model with its tokenizer's id of padding, where its config.json has another.

    Recipes pad with the id of config.json, and hide it: what they hide must be no token of a text. On the hub
    multilingual-e5-small has 0 there, which is its `<s>`. The folder is mirrored by links, beside another config.json.
    RoBERTa keeps its own: its positions are counted from it.
    """
    padding = padding_of(model.tokenizer)
    if padding in (None, model.config.get("pad_token_id")) or model.config.get("model_type") in ROBERTA:
        return model
    config = {**model.config, "pad_token_id": padding}
    place = (
        home.home()
        / "padding"
        / hashlib.sha256(json.dumps([str(model.folder), model.digest, config]).encode()).hexdigest()[:16]
    )
    with home.build_beside(place, "the model's folder") as folder:
        if folder:
            for path in model.folder.iterdir():
                if path.is_file() and path.name != CONFIG:
                    (folder / path.name).symlink_to(path.resolve())
            (folder / CONFIG).write_text(json.dumps(config, indent=1), encoding="utf-8")
    return replace(model, folder=place, config=config)


def padding_of(tokenizer: Path) -> int | None:
    """Return the id of the special token that pads by a tokenizer.json, `<pad>` or `[PAD]`; None: it names none."""
    with open(tokenizer, encoding="utf-8") as handle:
        head = handle.read(HEAD)  # the vocabulary, of megabytes, comes later
    _, found, rest = head.partition('"added_tokens":')
    try:
        tokens, _ = json.JSONDecoder().raw_decode(rest.lstrip()) if found else ([], 0)
    except ValueError:  # more special tokens than that
        return None
    return next((token["id"] for token in tokens if token["content"] in ("<pad>", "[PAD]")), None)


def check_whole(path: Path) -> None:
    """Refuse a safetensors file that is not whole, as after a broken download."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as tensors:
            tensors.keys()
    except SafetensorError as error:
        size = path.stat().st_size
        raise UserError(
            f"not a whole safetensors file: {path} ({size:,} bytes; {error})\n"
            "A download that broke off? Delete it and fetch it again."
        ) from None


def refuse_pickles(folder: Path) -> None:
    """Refuse weights that only a pickle holds, with the way to convert them."""
    for name in PICKLES:
        if (folder / name).exists():
            raise UserError(
                f"{folder / name} is a pickle, which can run any code when it is loaded; only safetensors is taken.\n"
                "If you trust where it comes from, convert it where PyTorch and safetensors are installed:\n"
                '  python -c "import torch, safetensors.torch as s; '
                f"w = torch.load('{name}', weights_only=True); "
                "s.save_file({k: v.clone().contiguous() for k, v in w.items()}, 'model.safetensors', "
                "{'format': 'pt'})\""
            )
