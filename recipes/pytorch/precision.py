"""Mixed precision in PyTorch's words."""

import torch

HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}  # job.precision -> the type of autocast; fp32, tf32: none
