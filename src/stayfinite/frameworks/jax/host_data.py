"""Batches and reports on the host, between two steps on JAX."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from stayfinite.frameworks.recorder import is_frozen


class LateScalar:
    """A scalar that may not have been computed yet. NumPy reads it faster than JAX itself."""

    __slots__ = ("_array", "is_ready")

    def __init__(self, array: jax.Array) -> None:
        self._array = array
        self.is_ready = array.is_ready

    def __int__(self) -> int:
        return int(np.asarray(self._array))

    def __float__(self) -> float:
        return float(np.asarray(self._array))


def own(data: Any) -> Any:
    """A copy of what is in arrays of NumPy: a loader may fill them again, and JAX shares them."""

    # The forms that `fit` itself gives are taken apart here, because `jax.tree.map` is slow.
    if type(data) is tuple:
        return tuple([own(item) for item in data])
    if type(data) is np.ndarray:
        return data if is_frozen(data) else data.copy()
    if data is None:
        return None
    return jax.tree.map(_owned, data)


def _owned(leaf: Any) -> Any:
    # An array of JAX never changes.
    is_safe = isinstance(leaf, jax.Array) or (isinstance(leaf, np.ndarray) and is_frozen(leaf))
    return leaf if is_safe else np.array(leaf)


def is_changeable(data: Any) -> bool:
    """Whether other code may write to an array of a batch."""
    leaves = jax.tree.leaves(data)
    return any(isinstance(leaf, np.ndarray) and not is_frozen(leaf) for leaf in leaves)


def is_finite(array: Any) -> bool:
    """Whether every element of `array` is finite; integers and random keys always are."""
    if not jnp.issubdtype(array.dtype, jnp.inexact):
        return True
    host = np.asarray(array)  # on a CPU a view; compiling a reduction for each shape is slower
    return bool(np.isfinite(host if host.dtype.kind in "fc" else host.astype("f4")).all())
