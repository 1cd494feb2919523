"""What recipes on JAX share: rows in few shapes, the devices that share them, optax's AdamW."""
