"""The loops of `jax.lax` as the equations of each turn, so that a bad one has a line and samples.

A loop is one equation without positions inside. The values of the turns are the same.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp

from stayfinite.frameworks.keras.patches import Replacement, replaced
from stayfinite.graph.code_owner import is_user_file

# A longer loop is not unrolled, because the program would be too large to replay.
MAX_TURNS = 100

Turn = Callable[..., Any]


@contextlib.contextmanager
def unrolled_loops() -> Iterator[None]:
    """Inside the block, short loops of `jax.lax` on this thread run turn by turn."""
    with replaced(_spellings({"scan": _scan, "map": _map, "fori_loop": _fori_loop})):
        yield


def _spellings(loops: dict[str, Replacement]) -> list[tuple[ModuleType, str, Replacement]]:
    """Where a program has these by name: `jax.lax`, and its modules that imported the function."""
    replacements = {id(getattr(jax.lax, name)): make for name, make in loops.items()}
    modules = [m for m in list(sys.modules.values()) if is_user_file(_file(m))]
    imported = [
        (module, key, replacements[id(value)])
        for module in modules
        for key, value in list(vars(module).items())
        if id(value) in replacements
    ]
    return [*((jax.lax, name, make) for name, make in loops.items()), *imported]


def _file(module: ModuleType) -> str:
    return getattr(module, "__file__", None) or ""


def _scan(plain: Callable[..., Any]) -> Callable[..., Any]:
    def scan(
        f: Turn,
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
            after, y = f(carry, jax.tree.map(lambda leaf, n=turn: leaf[n], xs))
            carry = _carried(after, carry)
            found.append(y)
        found = found[::-1] if reverse else found
        return carry, jax.tree.map(lambda *leaves: jnp.stack(leaves), *found)

    return scan


def _map(plain: Callable[..., Any]) -> Callable[..., Any]:
    def mapped(f: Turn, xs: Any, *, batch_size: int | None = None) -> Any:
        turns = _turns(xs, None)
        if batch_size is not None or not 0 < turns <= MAX_TURNS:
            return plain(f, xs, batch_size=batch_size)
        found = [f(jax.tree.map(lambda leaf, n=turn: leaf[n], xs)) for turn in range(turns)]
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *found)

    return mapped


def _fori_loop(plain: Callable[..., Any]) -> Callable[..., Any]:
    def fori_loop(lower: Any, upper: Any, body_fun: Turn, init_val: Any, **options: Any) -> Any:
        are_known = not any(isinstance(bound, jax.core.Tracer) for bound in (lower, upper))
        if not are_known or not 0 < int(upper) - int(lower) <= MAX_TURNS:
            return plain(lower, upper, body_fun, init_val, **options)
        carry = jax.tree.map(jnp.asarray, init_val)
        for turn in range(int(lower), int(upper)):
            carry = _carried(body_fun(jnp.asarray(turn), carry), carry)
        return carry

    return fori_loop


def _carried(after: Any, before: Any) -> Any:
    """What one turn hands to the next, in the dtypes that it had: a number may be one of Python."""
    dtypes = jax.tree.map(lambda leaf: leaf.dtype, before)
    return jax.tree.map(jnp.asarray, after, dtypes)


def _turns(xs: Any, length: int | None) -> int:
    leaves = jax.tree.leaves(xs)
    return int(length or 0) if not leaves else int(leaves[0].shape[0])
