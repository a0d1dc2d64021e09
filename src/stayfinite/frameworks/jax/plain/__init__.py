"""A training step on JAX without Keras: optax, flax, equinox, or plain functions."""
