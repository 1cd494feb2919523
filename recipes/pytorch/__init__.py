"""What the recipes on PyTorch and transformers share: a classifier, its batches, and how it is saved and loaded."""
