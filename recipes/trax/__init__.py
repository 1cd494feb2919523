"""Trax 1.4.1 on today's JAX, without TensorFlow: it is imported here, once and for all, as stand_ins.py says."""

from recipes.trax import stand_ins as stand_ins
