"""Keep a recipe's library imported and fork for each worker: `python warm_server.py SOCKET OWNER RECIPE`.

For tests alone, in the library's environment; tests/warm.py starts it and asks it. A forked worker is what
`python -m recipes.worker` is after its imports: the head of a session of its own, with the directory, the variables and
the files that it is given. Nothing is computed before a fork, so that no library has threads or devices by then. The
server ends when the process OWNER has ended.
"""

import atexit
import gc
import importlib
import json
import os
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LARGEST = 1 << 20  # bytes of a request
PATIENCE = 2.0  # seconds between two looks for the owner


def main(place: str, owner: str, recipe: str) -> None:
    """Import the recipe, then fork for each request, until the owner has ended."""
    sys.path[0] = str(ROOT)
    work = importlib.import_module("recipes.worker.main").main
    native = (ROOT / "recipes" / recipe / "recipe.py").exists()  # parity's reference is controlled alone
    importlib.import_module(f"recipes.{recipe}.{'recipe' if native else 'controlled'}")
    if len(os.listdir("/proc/self/task")) > 1:
        raise RuntimeError(f"recipe={recipe}: importing it starts threads, which a fork would lack")
    gc.freeze()  # it is the server's, and stays as it is
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that see a worker end
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
        server.bind(f"{place}.new")
        server.listen()
        server.settimeout(PATIENCE)
        os.rename(f"{place}.new", place)
        while Path("/proc", owner).exists():
            with suppress(TimeoutError):
                client, _ = server.accept()
                if os.fork() == 0:
                    server.close()
                    serve(client, work)
                client.close()


def serve(client: socket.socket, work: Callable[..., int]) -> None:
    """Fork a worker, tell its process id, and when it has ended its exit code (negative: by that signal)."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    client.setblocking(True)
    request, files, _, _ = socket.recv_fds(client, LARGEST, 3)
    worker = os.fork()
    if worker == 0:
        asked = json.loads(request)
        os.setsid()
        client.close()
        for number, file in enumerate(files):
            os.dup2(file, number)
            os.close(file)
        os.chdir(asked["folder"])
        os.environ.clear()
        os.environ.update(asked["variables"])
        sys.argv[1:] = asked["words"]
        code = work(*asked["words"])
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)  # to take a library's modules apart takes a second
    for file in files:
        os.close(file)  # or the worker's input would not end with its parent
    client.send(str(worker).encode())
    _, status = os.waitpid(worker, 0)
    with suppress(OSError):  # nobody is there any more
        client.send(str(os.waitstatus_to_exitcode(status)).encode())
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
