"""Batches and reports on the host, between two steps on JAX."""

from __future__ import annotations

import itertools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from stayfinite.frameworks.recorded_steps import is_frozen


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


class BatchRows:
    """Memory for copies of some batches that are alike: one piece for each array.

    One small piece for each batch would cut the free memory of the process into parts, which makes
    each of its allocations slower.

    Args:
        data: One of them, the data of a step.
        number: How many.
    """

    def __init__(self, data: Any, number: int) -> None:
        self._forms = [
            (leaf.shape, leaf.dtype) if type(leaf) is np.ndarray and leaf.ndim else (None, None)
            for leaf in (data if type(data) is tuple else ())
        ]
        self.begin(number)

    def begin(self, number: int) -> None:
        """New memory, for as many batches of the same form."""
        rows = [
            itertools.repeat(None, number) if shape is None else np.empty((number, *shape), dtype)
            for shape, dtype in self._forms
        ]
        self._rows = zip(*rows, strict=True)

    def own(self, data: Any) -> Any:
        """As the function `own`."""
        if type(data) is not tuple or len(data) != len(self._forms):
            return own(data)
        rows = next(self._rows, None)
        if rows is None:
            return own(data)
        kept: list[Any] = []
        for leaf, row, (shape, dtype) in zip(data, rows, self._forms, strict=True):
            if leaf is None and row is None:
                kept.append(None)
            elif type(leaf) is np.ndarray and leaf.shape == shape and leaf.dtype is dtype:
                row[...] = leaf
                kept.append(row)
            else:
                kept.append(own(leaf))
        return tuple(kept)


def on_one_device(value: Any) -> Any:
    """An array of JAX with this value; one that is divided over devices, on the default one.

    It is not bound to that device, so that what the step itself places elsewhere can read it.
    """
    array = jnp.asarray(value)
    is_key = jnp.issubdtype(array.dtype, jax.dtypes.prng_key)
    if is_key or len(array.devices()) < 2 or not array.is_fully_addressable:
        return array
    return jnp.asarray(np.asarray(array))


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


def copied(tree: Any, max_bytes: int) -> Any:
    """A copy of `tree` on the host; an empty dict if its arrays have more bytes than that."""
    arrays = [leaf for leaf in jax.tree.leaves(tree) if hasattr(leaf, "nbytes")]
    if sum(array.nbytes for array in arrays) > max_bytes:
        return {}
    return jax.tree.map(lambda leaf: np.array(leaf) if hasattr(leaf, "nbytes") else leaf, tree)


def _owned(leaf: Any) -> Any:
    # An array of JAX never changes.
    is_safe = isinstance(leaf, jax.Array) or (isinstance(leaf, np.ndarray) and is_frozen(leaf))
    return leaf if is_safe else np.array(leaf)


def is_changeable(data: Any) -> bool:
    """Whether other code may write to an array of a batch."""
    leaves = jax.tree.leaves(data)
    return any(isinstance(leaf, np.ndarray) and not is_frozen(leaf) for leaf in leaves)


def has_finite_square(array: Any) -> bool:
    """Whether the sum of the squares of `array` is finite, as a fast test of its elements.

    It may overflow, and narrow formats have none, so that False says nothing.
    """
    host = np.asarray(array)
    if host.dtype.kind != "f" or host.itemsize < np.float32().itemsize:
        return False
    flat = host.reshape(-1)
    return math.isfinite(flat.dot(flat))


def is_finite(array: Any) -> bool:
    """Whether every element of `array` is finite; integers and random keys always are."""
    if not jnp.issubdtype(array.dtype, jnp.inexact):
        return True
    host = np.asarray(array)  # on a CPU a view; compiling a reduction for each shape is slower
    return bool(np.isfinite(host if host.dtype.kind in "fc" else host.astype("f4")).all())
