"""Keras 3 with KerasHub."""
