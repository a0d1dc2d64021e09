"""`jax.lax.scan` as the equations of each turn, so that a bad one has a line and samples.

A `scan` is one equation without positions inside. The values of the turns are the same.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp

from stayfinite.frameworks.keras.patches import replaced

# A longer loop is not unrolled, because the program would be too large to replay.
MAX_TURNS = 100


@contextlib.contextmanager
def unrolled_scans() -> Iterator[None]:
    """Inside the block, short calls of `jax.lax.scan` on this thread run turn by turn."""
    with replaced([(jax.lax, "scan", _unrolling)]):
        yield


def _unrolling(plain: Callable[..., Any]) -> Callable[..., Any]:
    def scan(
        f: Callable[..., Any],
        init: Any,
        xs: Any = None,
        length: int | None = None,
        reverse: bool = False,
        **options: Any,
    ) -> Any:
        turns = _turns(xs, length)
        if not 0 < turns <= MAX_TURNS:
            return plain(f, init, xs, length, reverse, **options)
        carry, found = jax.tree.map(jnp.asarray, init), []
        for turn in reversed(range(turns)) if reverse else range(turns):
            dtypes = jax.tree.map(lambda leaf: leaf.dtype, carry)
            carry, y = f(carry, jax.tree.map(lambda leaf, n=turn: leaf[n], xs))
            carry = jax.tree.map(jnp.asarray, carry, dtypes)
            found.append(y)
        found = found[::-1] if reverse else found
        return carry, jax.tree.map(lambda *leaves: jnp.stack(leaves), *found)

    return scan


def _turns(xs: Any, length: int | None) -> int:
    leaves = jax.tree.leaves(xs)
    return int(length or 0) if not leaves else int(leaves[0].shape[0])
