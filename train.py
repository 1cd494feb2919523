"""The one entry: `python train.py recipe=hf_trainer data=job_titles`; `--help` lists the groups and keys."""

import sys

from harness.base import bootstrap
from harness.base.errors import guarded


def main() -> int:
    from harness.main import main  # a second of imports: Ctrl-C in it is answered as later

    return main()


if __name__ == "__main__":
    bootstrap.enter(lambda: bootstrap.environment_for(sys.argv[1:]))
    sys.exit(guarded(main))
