"""TensorFlow alone."""
