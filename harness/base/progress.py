"""Progress lines for long steps: live on a terminal, plain lines elsewhere. Standard library only."""

import contextlib
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator


def say(text: str) -> None:
    """Print one line of progress to standard error."""
    print(text, file=sys.stderr, flush=True)


@contextlib.contextmanager
def step(text: str) -> Iterator[Callable[[str], None]]:
    """Show that a long step runs, then how long it took; yields a function that shows how far it is."""
    start, detail = time.monotonic(), [""]
    live = sys.stderr.isatty()
    ended = threading.Event()

    def draw() -> None:
        while not ended.wait(0.5):
            width = shutil.get_terminal_size().columns - 1
            line = f"{text} … {time.monotonic() - start:.0f} s {detail[0]}"[:width]
            print(f"\r\033[K{line}", end="", file=sys.stderr)

    def show(progress: str) -> None:
        detail[0] = progress

    if live:
        thread = threading.Thread(target=draw, daemon=True)
        thread.start()
    else:
        say(f"{text} …")
    outcome = "failed after "
    try:
        yield show
        outcome = ""
    finally:
        if live:
            ended.set()
            thread.join()
            print("\r\033[K", end="", file=sys.stderr)
        say(f"{text}: {outcome}{time.monotonic() - start:.1f} s {detail[0]}".rstrip())
