"""Sonnet 2, on TensorFlow."""
