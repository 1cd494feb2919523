"""Configurations, data, environments, processes and figures; imports no deep-learning library, ever."""

import sys

if sys.version_info < (3, 10):  # noqa: UP036 - before anything that an older Python cannot read
    sys.exit(f"error: Python 3.10 or newer is needed; {sys.executable} is {sys.version.split()[0]}.")
