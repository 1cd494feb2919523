"""Fixtures: what several tests start from, made once for all of them and their processes."""

import csv
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import ads_support
import pytest
import warm
from support import E5, ROOT, Runs, minilm

from harness.base import environments
from harness.base.home import build_beside
from harness.inputs import quantised
from harness.inputs.data.kinds import job_titles


@pytest.fixture(scope="session")
def shared(tmp_path_factory) -> Path:
    """Return the folder that it is in."""
    place = tmp_path_factory.getbasetemp()
    folder = (place.parent if "PYTEST_XDIST_WORKER" in os.environ else place) / "shared"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session", autouse=True)
def cheaper(shared):
    """What XLA compiled for one run on JAX is there for the next; memory that is freed is kept for the next tensor."""
    os.environ["JAX_COMPILATION_CACHE_DIR"] = str(shared / "xla")
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    os.environ |= {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(1 << 33)}


@pytest.fixture(scope="session", autouse=True)
def warm_workers(shared):
    """A library is imported once: see tests/warm.py."""
    servers = shared / "warm"
    servers.mkdir(exist_ok=True)
    owner = os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()
    os.environ |= {warm.FOLDER: str(servers), warm.OWNER: str(owner)}
    warm.install()


@pytest.fixture
def real_processes(monkeypatch):
    """For what kills workers, measures them or takes several: each is started as it is outside tests."""
    monkeypatch.delenv(warm.FOLDER)


@pytest.fixture(scope="session")
def small_network(shared) -> Callable[[str], Path]:
    """Make a Hugging Face folder with a small random network of an architecture, and MiniLM's tokenizer, or its own."""

    def make(architecture: str) -> Path:
        folder = shared / architecture
        with build_beside(folder, f"the small {architecture}") as building:
            if building:
                python = environments.ensure("hf_trainer").python
                subprocess.run([python, ROOT / "tests" / "small_network.py", architecture, building], check=True)
                own = quantised.folder_of(E5) if architecture == "e5" else minilm().parent
                for file in own.glob("token*.json"):
                    shutil.copy(file, building)
        return folder

    return make


@pytest.fixture(scope="session")
def finished(shared) -> Callable[[str], Path]:
    """Return the folder of a small finished run of a recipe, an encoder's in full precision."""

    def run(recipe: str) -> Path:
        runs = Runs(shared / "finished" / recipe)
        runs.run(f"recipe={recipe}", "precision=fp32")  # once: it waits for another process that is at it
        (folder,) = runs.folders()
        return folder

    return run


@pytest.fixture(scope="session")
def titles_with_labels(shared) -> list[str]:
    """Write job titles, each with its group of occupations and the larger one above it; return the words for them."""
    folder = shared / "titles"
    with build_beside(folder, "job titles with several labels") as building:
        if building:
            levels = [job_titles.source({"level": level}).parts["train"].read([]) for level in job_titles.DIGITS]
            with open(building / "titles.csv", "w", encoding="utf-8", newline="") as handle:
                rows = ([title, f"{group}|{within}"] for (_, title, group), (*_, within) in zip(*levels, strict=True))
                csv.writer(handle).writerows([["title", "labels"], *rows])
    return [
        "data=csv",
        f"data.train={folder}/titles.csv",
        "data.text=title",
        "data.label=labels",
        "data.label_separator='|'",
    ]


@pytest.fixture(scope="session")
def data_of(shared, titles_with_labels) -> Callable[[str], list[str]]:
    """Return the words for data of a task, made once: some 800 made-up ads in French; titles with several labels."""

    def words(task: str) -> list[str]:
        if task == "multilabel":
            return titles_with_labels
        folder = shared / f"ads-{task}"
        with build_beside(folder, f"ads for {task}") as building:
            if building:
                ads_support.write(task, 800, building)
        return ads_support.words(task, folder)

    return words


@pytest.fixture(scope="session")
def references(shared) -> Path:
    """Where the runs of parity's reference are kept."""
    folder = shared / "references"
    folder.mkdir(exist_ok=True)
    return folder
