"""Runs whose workers need not import their library: `python warm.py SCRIPT WORDS` is `python SCRIPT WORDS` with such.

Where the variable FOLDER names a folder, a worker is forked by a server that has imported the library of its recipe
(tests/warm_server.py): one for each recipe, interpreter and variables, started when it is first asked for. Everything
else is as ever: the worker has its own process, variables, log and end. What is about memory, time, kills or several
processes takes real ones: it leaves FOLDER empty.
"""

import fcntl
import hashlib
import json
import os
import runpy
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any

ROOT = Path(__file__).resolve().parent.parent
if __name__ == "__main__":
    sys.path[0] = str(ROOT)

from harness.machine.gpu import Gpu  # noqa: E402
from harness.runs import launch  # noqa: E402
from recipes.contract import seals  # noqa: E402

FOLDER, OWNER = "WARM_WORKERS_FOLDER", "WARM_WORKERS_OWNER"  # of the servers; the process they end with
OF_A_TEST = ("PYTEST", "FINETUNE_RECIPES", "TMPDIR", "HYDRA", FOLDER, OWNER, seals.KEY)  # no library reads them
HIDING = ("ACCELERATE_USE_CPU", "CUDA_VISIBLE_DEVICES", "JAX_PLATFORMS")  # they say no more where there is no GPU


class Warm:
    """A worker that a server has forked: what harness/runs/launch.py asks of a Popen."""

    def __init__(self, server: socket.socket, words: list[str], stdin: IO[bytes]):
        self.server, self.words, self.stdin = server, words, stdin
        self.pid, self.returncode = int(server.recv(100)), None

    def poll(self) -> int | None:
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            self.server.settimeout(timeout)
            try:
                self.returncode = int(self.server.recv(100))
            except (TimeoutError, BlockingIOError):
                raise subprocess.TimeoutExpired(self.words, timeout or 0) from None
        return self.returncode


def start(command: list[str], **how: Any) -> Any:
    """Start a process as Popen does; a worker from the server of its recipe, where there are servers."""
    folder = os.environ.get(FOLDER)
    if not folder or command[1:3] != ["-m", "recipes.worker"] or how["cwd"] != ROOT:
        return subprocess.Popen(command, **how)
    job = json.loads(Path(command[3]).read_text(encoding="utf-8"))
    packages = Path(command[0]).parent.parent.glob("lib/python*/site-packages/jax")
    if any(packages):  # forked, JAX's logits were 2e-6 from those of one that was started
        return subprocess.Popen(command, **how)
    place = served(Path(folder), command[0], job["recipe"], how["env"])
    if not place:
        return subprocess.Popen(command, **how)
    server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    server.connect(str(place))
    theirs, ours = os.pipe()
    log = how["stdout"].fileno()
    request = {"words": command[3:], "folder": str(how["cwd"]), "variables": how["env"]}
    socket.send_fds(server, [json.dumps(request).encode()], [theirs, log, log])
    os.close(theirs)
    return Warm(server, command, os.fdopen(ours, "wb"))


def served(folder: Path, python: str, recipe: str, variables: dict[str, str]) -> Path | None:
    """Return the socket of the server of a recipe, with an interpreter and these variables; start it if need be.

    None where it cannot be served: the library is not there, or has threads once it is imported. The log says which.
    """
    without = OF_A_TEST if Gpu.open() else OF_A_TEST + HIDING
    shared = {name: value for name, value in variables.items() if not name.startswith(without)}
    digest = hashlib.sha256(json.dumps([python, shared], sort_keys=True).encode()).hexdigest()
    place = folder / f"{recipe}-{digest[:8]}"
    with open(f"{place}.log", "ab") as log:
        fcntl.flock(log, fcntl.LOCK_EX)
        if not place.exists() and not os.path.getsize(log.name):
            script = Path(__file__).with_name("warm_server.py")
            words = [python, str(script), str(place), os.environ[OWNER], recipe]
            unlocked = os.open(log.name, os.O_WRONLY | os.O_APPEND)
            files = {"stdin": subprocess.DEVNULL, "stdout": unlocked, "stderr": unlocked}
            process = subprocess.Popen(words, cwd=ROOT, env=shared, start_new_session=True, **files)
            os.close(unlocked)
            while not place.exists() and process.poll() is None:
                time.sleep(0.02)
    return place if place.exists() else None


def install() -> None:
    """Have the workers of this process started so."""
    launch.subprocess = SimpleNamespace(**{**vars(subprocess), "Popen": start})  # type: ignore[assignment]


if __name__ == "__main__":
    install()
    del sys.argv[0]
    runpy.run_path(sys.argv[0], run_name="__main__")
