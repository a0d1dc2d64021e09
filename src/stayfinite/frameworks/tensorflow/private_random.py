"""The private names by which TensorFlow draws random numbers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import tensorflow as tf
from tensorflow.python.eager import context
from tensorflow.python.ops import gen_random_ops


@contextlib.contextmanager
def same_random_numbers() -> Iterator[None]:
    """`tf.random` draws the same numbers in each block, and goes on as before afterwards."""
    current = context.context()
    # It has no `_rng` as long as no seed was ever set.
    before = current._seed, getattr(current, "_rng", None)
    current._set_global_seed(0 if before[0] is None else before[0])
    try:
        yield
    finally:
        current._seed, current._rng = before


class RandomOperation(NamedTuple):
    """A function or method that draws random numbers.

    Attributes:
        owner: The module or class that has it.
        name: Its name.
        takes_shape: Whether its first argument is the shape of the result; else it is an array of
            that shape.
    """

    owner: Any
    name: str
    takes_shape: bool


def random_operations() -> list[RandomOperation]:
    """Those by which `tf.random` and its generators draw.

    Private: the functions of `tf.random` are known to programs under several names.
    """
    generated = ("random_standard_normal", "random_uniform", "random_uniform_int")
    methods = ("normal", "truncated_normal", "uniform", "uniform_full_int")
    return [
        *(RandomOperation(gen_random_ops, n, True) for n in (*generated, "truncated_normal")),
        RandomOperation(gen_random_ops, "random_shuffle", False),
        *(RandomOperation(tf.random.Generator, name, True) for name in methods),
    ]


@contextlib.contextmanager
def random_numbers_kept() -> Iterator[None]:
    """`tf.random` draws the same numbers after the block as without it."""
    current = context.context()
    rng = getattr(current, "_rng", None)
    before = None if rng is None else rng.getstate()
    try:
        yield
    finally:
        if rng is not None and rng.getstate() != before:
            # This clears the kernels, too. One that was used in the block would go on from there.
            current._set_global_seed(current._seed)
            current._rng = rng
            rng.setstate(before)
