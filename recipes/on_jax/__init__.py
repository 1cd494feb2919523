"""What recipes on JAX share: rows in few shapes, the devices that share them, losses, optax's AdamW."""
