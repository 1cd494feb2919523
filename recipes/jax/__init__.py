"""JAX alone. Before it is imported, it is told its threads: here."""

import os

os.environ.setdefault("PJRT_NPROC", os.environ.get("OMP_NUM_THREADS", ""))
