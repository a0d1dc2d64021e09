"""JAX: the guarded step, its jaxpr as a `Graph`, and its replay."""
