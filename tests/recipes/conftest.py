"""Fixtures: small encoders with random weights; where runs of the reference are."""

import shutil
import subprocess
from pathlib import Path

import pytest
from support import ROOT, minilm

from harness import environments


@pytest.fixture
def small_network(tmp_path):
    """Make a Hugging Face folder with a small random network of an architecture, and MiniLM's tokenizer."""

    def make(architecture: str) -> Path:
        folder = tmp_path / architecture
        folder.mkdir()
        python = environments.ensure("hf_trainer").python
        subprocess.run([python, ROOT / "tests" / "small_network.py", architecture, folder], check=True)
        for file in minilm().parent.glob("token*.json"):
            shutil.copy(file, folder)
        return folder

    return make


@pytest.fixture
def references(tmp_path_factory):
    """Where the runs of parity's reference are kept, for all tests and all their processes."""
    folder = tmp_path_factory.getbasetemp().parent / "references"
    folder.mkdir(exist_ok=True)
    return folder
