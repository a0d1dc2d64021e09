"""JAX: the guarded step, its jaxpr as a `Trace`, and its replay."""
