"""JAX alone."""
