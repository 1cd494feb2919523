"""Configurations, data, environments, processes and figures; imports no deep-learning library, ever."""

import sys

if sys.platform == "win32":
    sys.exit("error: Windows is not supported as such; the Windows Subsystem for Linux (WSL) is.")
if sys.version_info < (3, 10):  # noqa: UP036 - before anything that an older Python cannot read
    # no f-string: Python 2 could not read this file
    sys.exit("error: Python 3.10 or newer is needed; " + sys.executable + " is " + sys.version.split()[0] + ".")
