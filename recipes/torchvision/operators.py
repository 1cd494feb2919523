"""Two of torchvision's operators, declared where its build for CUDA lies beside PyTorch's for processors.

That build is the registry's only one. Its own operators cannot be loaded there, and on import it describes two of them
to PyTorch (torchvision/_meta_registrations.py), which then must know their names. Nothing here uses them: models and
transforms are Python.
"""

import importlib.util
from pathlib import Path
from typing import Any

SIGNATURE = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
declared: list[Any] = []  # PyTorch forgets what nobody holds


def declare() -> None:
    """Declare them, unless torchvision brings operators that this PyTorch can load; without torchvision do nothing."""
    found = importlib.util.find_spec("torchvision")
    if declared or found is None or found.origin is None:
        return
    import torch

    try:
        torch.ops.load_library(str(next(Path(found.origin).parent.glob("_C.*"))))
    except (OSError, StopIteration):
        declared.append(torch.library.Library("torchvision", "DEF"))
        for name in ("nms", "qnms"):
            declared[0].define(f"{name}{SIGNATURE}")
