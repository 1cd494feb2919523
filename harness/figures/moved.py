"""Did a training move its encoder? Told by the weights it started from and those that were saved."""

from pathlib import Path

import numpy as np

WEIGHTS = "model.safetensors"


def moved(start: Path, end: Path, precision: str) -> bool | None:
    """Tell whether a tensor of the encoder saved in folder `end` differs from the one in folder `start`.

    Small ones come first, and the first that differs is the last that is read. With precision=bf16 a rounded weight is
    none that moved: a library may train in bf16 itself. None: there are no weights, or none that can be compared.
    """
    from safetensors import safe_open

    if not (end / WEIGHTS).exists():
        return None
    compared = False
    with safe_open(start / WEIGHTS, "np") as before, safe_open(end / WEIGHTS, "np") as after:
        olds, news = before.keys(), after.keys()  # a checkpoint may have the encoder below a prefix, such as `bert.`
        names = {new: old for old in olds for new in news if f".{old}".endswith(f".{new}")}
        for new, old in sorted(names.items(), key=lambda pair: np.prod(after.get_slice(pair[0]).get_shape())):
            try:
                then, now = (np.asarray(part, np.float32) for part in (before.get_tensor(old), after.get_tensor(new)))
            except TypeError:  # stored in bf16, which numpy does not know
                continue
            if then.shape != now.shape:
                continue
            compared = True
            if (then != now).any() and not (precision == "bf16" and (rounded(then) == now).all()):
                return True
    return False if compared else None


def rounded(values: np.ndarray) -> np.ndarray:
    """Return float32 values rounded to bfloat16, to the nearest, halves to even, as float32."""
    bits = np.ascontiguousarray(values).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) & np.uint32(0xFFFF0000)).view(np.float32)
