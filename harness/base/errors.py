"""Errors for people: what was wrong, where, and what to do; never a traceback."""

import contextlib
import difflib
import errno
import re
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from harness.base import output

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
NOT_ALLOWED = (errno.EACCES, errno.EPERM, errno.EROFS)


class UserError(Exception):
    """A problem that the person at the keyboard can mend; its text is all they need to see.

    `code` is the exit status: 1 for bad input or bad luck, 2 for a wrong command line. `log` is the file with the
    whole output of a tool that failed, which the text ends with; `message` does not.
    """

    def __init__(self, message: str, code: int = 1, log: Path | None = None):
        super().__init__(message + (f"\nfull log: {log}" if log else ""))
        self.message, self.code, self.log = message, code, log


def explain(error: OSError, place: Path | None = None) -> str:
    """Say in one or two lines what an operating-system error means and what to do about it.

    A write that finds no room does not say where it went: `place` is where.
    """
    name = error.filename or (place if error.errno in NO_ROOM else None)
    where = f": {name}" if name else ""
    if error.errno in NO_ROOM:
        return f"no space left on the device{where}\nFree some space, then give the same command again."
    if error.errno in NOT_ALLOWED:
        return (
            f"no permission{where}\nResults go to `outputs=FOLDER`; environments, weights and data go to the "
            "folder named by FINETUNE_RECIPES_HOME (default ~/.cache/finetune-recipes)."
        )
    return f"{error.strerror or error}{where}"


@contextlib.contextmanager
def writing(option: str, *places: Path) -> Iterator[None]:
    """Have what fails in the block, because `places` may not be written or have no room, say where that is.

    `option` is what people give to have it written elsewhere: of no permission the error names it (UserError).
    """
    try:
        yield
    except OSError as error:
        if error.errno in NO_ROOM:
            error.filename = error.filename or str(places[0].absolute())
        elif error.errno in NOT_ALLOWED and error.filename:
            found = Path(str(error.filename)).absolute()
            wanted = [place.absolute() for place in places]
            if any(found.is_relative_to(place) or place.is_relative_to(found) for place in wanted):
                said = f"{wanted[0]}: no permission to write in the folder {found.parent}"
                raise UserError(f"{said}; {option} says where else to write.") from None
        raise


def answered(action: Callable[[], int | None]) -> int:
    """Run `action` and return its exit code; what goes wrong is said in words, on standard error."""
    try:
        return action() or 0
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.code
    except OSError as error:
        print(f"error: {explain(error)}", file=sys.stderr)
        return 1
    except UnicodeEncodeError as error:  # a path or a word in bytes that are no text: Python reads them so
        name = next(line for line in error.object.splitlines() if error.object[error.start] in line).strip(' "')
        print(f"error: {name}: not UTF-8, which results are kept in. Give it another name.", file=sys.stderr)
        return 1


def guarded(action: Callable[[], int | None]) -> int:
    """As `answered`, with an output that takes everything, and end quietly when interrupted."""

    def printed() -> int | None:
        code = action()
        sys.stdout.flush()  # a full disk is told here, not at exit
        return code

    output.ready()
    try:
        return answered(printed)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    finally:
        output.settle()


def address(path: str | Path) -> str | None:
    """Return the URL that a path was meant as, if it was: pathlib makes one slash of two."""
    found = re.fullmatch(r"([a-zA-Z][a-zA-Z0-9+.-]+):/+(.+)", str(path))
    return f"{found[1]}://{found[2]}" if found else None


def not_here(path: Path, kind: str) -> str:
    """Say that there is no such file or folder (`kind`), and of a URL how to bring it here."""
    if not (url := address(path)):
        return f"there is no {kind} {path.absolute()}"
    scheme, _, place = url.partition("://")
    if scheme.lower() == "file":
        return f"{scheme}:///{place}: give the path alone, /{place}"
    fetch = (
        f"fetch it first (curl -LO {shlex.quote(url)})" if scheme.lower().startswith("http") else "copy it here first"
    )
    return f"{url}: a {kind} of this machine is needed; {fetch}, and give its name."


def nearest(name: str, known: Iterable[str]) -> str:
    """Return " Did you mean '…'?" when one of the known names is like `name`, in whatever case, else nothing."""
    folded = {other.casefold(): other for other in known}
    found = difflib.get_close_matches(name.casefold(), folded, n=1)
    return f" Did you mean '{folded[found[0]]}'?" if found else ""


def tail(text: str, lines: int = 12) -> str:
    """Return the last lines of what a tool said, indented."""
    return "\n".join("  " + line for line in text.strip().splitlines()[-lines:])
