"""Send the model of a finished run to the Hugging Face hub, with its card: python scripts/push.py RUN OWNER/NAME.

--dry-run shows the files and the card, and sends nothing.
"""

import argparse
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from harness.base import bootstrap
from harness.base.errors import guarded


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", metavar="RUN", help="a run's folder, or its name in the folder of results")
    parser.add_argument("repository", metavar="REPO", help="OWNER/NAME on the hub; made, if it is not there")
    parser.add_argument("--public", action="store_true", help="a repository that is made can be seen by everybody")
    parser.add_argument("--all", action="store_true", help="also what the library saved in a form of its own")
    parser.add_argument("--dry-run", action="store_true", help="show what would be sent, and send nothing")
    parser.add_argument("--outputs", type=Path, default=Path("outputs"), help="the folder of results (default outputs)")
    arguments = parser.parse_args()
    from harness.use import card, push, saved

    run = saved.find(arguments.run, arguments.outputs.expanduser().absolute())
    saved.check(run)
    push.check_name(arguments.repository)
    sent = push.files(run, arguments.all)
    print(f"{run.model} -> {arguments.repository}", *push.told(run, sent), sep="\n")
    if arguments.dry_run:
        print("", (run.model / card.FILE).read_text(encoding="utf-8"), sep="\n")
        return 0
    print(push.push(run, arguments.repository, sent, arguments.public))
    return 0


if __name__ == "__main__":
    bootstrap.enter()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as clean as Ctrl-C
    sys.exit(guarded(main))
