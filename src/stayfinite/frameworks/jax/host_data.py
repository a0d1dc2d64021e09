"""Batches and reports on the host, between two steps on JAX."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from stayfinite.frameworks.recorder import is_frozen


class StepReport:
    """The report of a step as a `Flag`. Read by NumPy, which is faster than `int` of an array."""

    __slots__ = ("_array", "is_ready")

    def __init__(self, array: jax.Array) -> None:
        self._array = array
        self.is_ready = array.is_ready

    def __int__(self) -> int:
        return int(np.asarray(self._array))


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
