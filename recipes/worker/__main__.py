"""`python -m recipes.worker`: see main.py."""

import sys

from recipes.worker.main import main

if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
