"""Models with the real library: a pickle is refused, converted as the message says, and then taken."""

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from support import by_card, minilm, others

from harness.base import environments
from recipes.contract.split import Split


@pytest.fixture
def pickled(tmp_path):
    """The real weights as a pickle, as older repositories have them."""
    weights = minilm()
    folder = tmp_path / "old model"
    folder.mkdir()
    for name in ("config.json", "tokenizer.json"):
        shutil.copy(weights.parent / name, folder / name)
    code = "import sys, torch, safetensors.torch as s; torch.save(s.load_file(sys.argv[1]), sys.argv[2])"
    python = environments.ensure("hf_trainer").python
    subprocess.run([python, "-c", code, weights, folder / "pytorch_model.bin"], check=True)
    return folder


def test_a_pickle_is_refused_and_the_message_s_command_converts_it(runs, pickled):
    words = ["recipe=hf_trainer", "model=path", f"model.path={pickled}"]
    said = runs.run(*words, code=1)
    assert "is a pickle" in said
    command = shlex.split(re.search(r"python -c .*", said)[0])
    command[0] = str(environments.ensure("hf_trainer").python)
    subprocess.run(command, cwd=pickled, check=True)
    runs.run(*words)
    own = runs.row()
    assert own["model"] == "path"
    assert own["status"] == "finished"


def test_a_fine_tuned_model_is_a_hugging_face_folder_to_start_from_again(runs, finished):
    runs.run("recipe=hf_trainer", "model=path", f"model.path={finished('hf_trainer') / 'model'}")
    assert runs.row()["status"] == "finished"


ARCHITECTURES = ["bert", "roberta", "camembert", "distilbert", "electra"]


@pytest.mark.parametrize("architecture", others(ARCHITECTURES, "distilbert", "electra"))
def test_encoders_of_other_architectures_train_in_full_precision(runs, architecture, small_network):
    """Small random weights, stored in fp16, as the larger models that one cannot have here. Others: test_parity.py."""
    runs.run("recipe=hf_trainer", "model=path", f"model.path={small_network(architecture)}", "precision=fp32")
    row = runs.row()
    assert row["status"] == "finished"
    assert row["model.size_mb"] > 4 * row["model.parameters"] / 1e6


@pytest.mark.parametrize(
    "recipe", others(["hf_trainer", "keras", "tfidf"], "hf_trainer", "tfidf")
)  # of all: test_parity.py
def test_the_model_is_read_by_the_lines_of_its_card(finished, recipe):
    folder = finished(recipe)
    where = json.loads((folder / "job.json").read_text(encoding="utf-8"))["splits"]["test"]["data"]
    split = Split("test", Path(where))
    found = by_card(folder, [split.text(row) for row in range(len(split))])
    logits = np.load(folder / "predictions_test.npz")["logits"]
    labels = json.loads((folder / "job.json").read_text(encoding="utf-8"))["labels"]
    said = [one if recipe == "tfidf" else one[0] for one in found["answers"]]
    assert said == [labels[best] for best in logits.argmax(1)]
    if recipe != "tfidf":
        np.testing.assert_allclose(found["logits"], logits, rtol=0, atol=1e-5)


LOADED = """
import sys
from transformers import AutoModel, AutoModelForSequenceClassification
for kind in (AutoModel, AutoModelForSequenceClassification):
    _, told = kind.from_pretrained(sys.argv[1], output_loading_info=True)
    print({key: sorted(names) for key, names in told.items() if names})
"""


@pytest.mark.parametrize("recipe", others(["hf_trainer", "keras"], "hf_trainer"))
def test_transformers_misses_nothing_of_an_encoder_but_the_head_of_its_own_class(finished, recipe):
    """One recipe has transformers save the folder, the other has numpy do it."""
    command = [environments.ensure("hf_trainer").python, "-c", LOADED, finished(recipe) / "model"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["{}", "{'missing_keys': ['classifier.bias', 'classifier.weight']}"]
