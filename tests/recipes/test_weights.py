"""Models with the real library: a pickle is refused, converted as the message says, and then taken."""

import re
import shlex
import shutil
import subprocess

import pytest
import yaml
from support import ROOT

from harness import environments, packages


@pytest.fixture
def pickled(tmp_path):
    """The real weights as a pickle, as older repositories have them."""
    config = yaml.safe_load((ROOT / "conf" / "model" / "minilm.yaml").read_text(encoding="utf-8"))
    weights = packages.carried(config["package"], f"{config['package_folder']}/model.safetensors", config["sha256"])
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


def test_a_fine_tuned_model_is_a_hugging_face_folder_to_start_from_again(runs):
    runs.run("recipe=hf_trainer")
    (folder,) = runs.folders()
    runs.run("recipe=hf_trainer", "model=path", f"model.path={folder / 'model'}")
    assert len(runs.folders()) == 2


SMALL_NETWORKS = """
import sys
from transformers import AutoConfig, AutoModel
size = {"vocab_size": 30522, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
if sys.argv[1] == "distilbert":
    size = {"vocab_size": 30522, "dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 64}
config = AutoConfig.for_model(sys.argv[1], **size)
AutoModel.from_config(config).half().save_pretrained(sys.argv[2])
"""


@pytest.mark.parametrize("architecture", ["bert", "roberta", "camembert", "distilbert", "electra"])
def test_encoders_of_other_architectures_train_in_full_precision(runs, pickled, architecture):
    """Small random weights, stored in fp16, as the larger models that one cannot have here."""
    python = environments.ensure("hf_trainer").python
    (pickled / "pytorch_model.bin").unlink()
    (pickled / "config.json").unlink()
    subprocess.run([python, "-c", SMALL_NETWORKS, architecture, pickled], check=True)
    runs.run("recipe=hf_trainer", "model=path", f"model.path={pickled}", "precision=fp32")
    row = runs.row()
    assert row["status"] == "finished"
    assert row["model.size_mb"] > 4 * row["model.parameters"] / 1e6
