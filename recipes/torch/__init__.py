"""PyTorch with accelerate."""
