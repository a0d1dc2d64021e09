"""The function of the user's inside what `jax.jit`, `nnx.jit` or `eqx.filter_jit` returns."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import FunctionType, MethodType
from typing import Any

import jax

from stayfinite.errors import CannotGuardError
from stayfinite.frameworks.jax import private
from stayfinite.frameworks.jax.plain.mapped_steps import MappedStep
from stayfinite.frameworks.jax.plain.trees import Numbers
from stayfinite.frameworks.names import argument_names

_JIT = type(jax.jit(lambda: None))


def uncompiled(step: Callable[..., Any]) -> Callable[..., Any]:
    """The function inside `jax.jit`, `nnx.jit` or `eqx.filter_jit`, which is compiled anew.

    That of a `jax.pmap` needs its mapped axis: the `pmap` is a part of the step.

    Raises:
        CannotGuardError: it is a `jax.pmap` that is no `shard_map`, of an early release of JAX.
    """
    if isinstance(step, MethodType):
        inner = uncompiled(step.__func__)
        return step if inner is step.__func__ else MethodType(inner, step.__self__)
    if isinstance(step, MappedStep):
        return step
    if is_pmapped(step):
        if isinstance(step, FunctionType):
            options = private.options_of_pmap(step)
            return step if options is None else MappedStep(step, options)
        raise CannotGuardError(
            "a step under jax.pmap of this release of JAX cannot be guarded; use jax.jit with "
            "sharded arrays"
        )
    is_compiled = hasattr(step, "lower") and hasattr(step, "__wrapped__")
    return uncompiled(inspect.unwrap(step, stop=_is_innermost)) if is_compiled else step


def static_names(step: Callable[..., Any]) -> frozenset[str]:
    """The names of the arguments of `step` that are static for `jax.jit` or `jax.pmap`."""
    function: Any = step.__func__ if isinstance(step, MethodType) else step
    if is_pmapped(function):
        mapped = uncompiled(function)
        static = mapped.static if isinstance(mapped, MappedStep) else ()
        names = argument_names(mapped, max(static, default=-1) + 1)
        return frozenset(names[number] for number in static)
    found = private.static_names(function)
    return found if _is_plain(function) else found | static_names(function.__wrapped__)


def arrays_of_jit(step: Callable[..., Any]) -> Numbers:
    """Which numbers of Python are arrays for what has compiled `step`, and in its results.

    Equinox leaves them as they are. For a function that is not compiled, booleans stay as they are,
    as it may branch on them.
    """
    function: Any = step.__func__ if isinstance(step, MethodType) else step
    library = type(function).__module__.partition(".")[0]
    if library == "equinox":
        return Numbers.STATIC
    is_jit = isinstance(function, _JIT) or (library == "flax" and not _is_plain(function))
    return Numbers.WITH_BOOLEANS if is_jit else Numbers.TRACED


def is_pmapped(step: Any) -> bool:
    """Whether `step` is what `jax.pmap` returns: an object of its own, or a function of JAX."""
    if isinstance(step, MethodType):
        return is_pmapped(step.__func__)
    if isinstance(step, MappedStep):
        return True
    if isinstance(step, FunctionType):
        module = str(step.__globals__.get("__name__"))
        return hasattr(step, "lower") and module.partition(".")[0] == "jax"
    return "pmap" in type(step).__name__.lower()


def _is_innermost(function: Any) -> bool:
    return _is_plain(function) or is_pmapped(function)


def _is_plain(function: Any) -> bool:
    return not (hasattr(function, "lower") and hasattr(function, "__wrapped__"))
