"""The one entry: `python train.py recipe=hf_trainer data=job_titles`; `--help` lists the groups and keys."""

import sys

from harness import bootstrap

if __name__ == "__main__":
    bootstrap.enter(lambda: bootstrap.environment_for(sys.argv[1:]))
    from harness.main import main

    sys.exit(main())
