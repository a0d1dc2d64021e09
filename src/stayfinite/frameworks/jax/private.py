"""Everything used from JAX, and from Keras on JAX, that is not public API, in one place.

`tests/frameworks/test_jax_private.py` exercises each name, so a release that moves one of them is
named by the test that fails, not by a user's traceback.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import CodeType
from typing import Any

import jax
from jax.extend import core as jex
from keras.src.backend.jax.trainer import JAXTrainer

__all__ = [
    "JAXTrainer",
    "bind",
    "closed_call_of",
    "frames",
    "is_tracing",
    "same_trace_level",
    "scope",
    "trace_level",
]

# Primitives that only call a jaxpr once: inlining them changes no value.
_CALLS = {
    "jit": "jaxpr",
    "pjit": "jaxpr",
    "closed_call": "call_jaxpr",
    "core_call": "call_jaxpr",
    "custom_jvp_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr",
    "custom_vjp_call_jaxpr": "fun_jaxpr",
    "checkpoint": "jaxpr",
    "remat": "jaxpr",
    "remat2": "jaxpr",
}


def closed_call_of(eqn: Any) -> tuple[Any, list[Any]] | None:
    """The jaxpr and constants that a call-like equation runs, or None for any other equation."""
    key = _CALLS.get(eqn.primitive.name)
    if key is None or key not in eqn.params:
        return None
    inner = eqn.params[key]
    if isinstance(inner, jex.ClosedJaxpr):
        return inner.jaxpr, list(inner.consts)
    return inner, []


def bind(primitive: Any, params: dict[str, Any], operands: list[Any]) -> list[Any]:
    """Apply a primitive to arrays or tracers."""
    bound = primitive.get_bind_params(params)
    functions, keywords = bound if isinstance(bound, tuple) else ((), bound)
    result = primitive.bind(*functions, *operands, **keywords)
    return list(result) if primitive.multiple_results else [result]


def frames(source_info: Any) -> Iterator[tuple[CodeType, int]]:
    """`(code, last instruction)` of an equation's traceback, innermost call first."""
    if source_info.traceback is None:
        return iter(())
    codes, instructions = source_info.traceback.raw_frames()
    return iter(zip(codes, instructions, strict=True))


def scope(source_info: Any) -> str:
    """The name stack of an equation, with JAX's transform wrappers still in it."""
    return str(source_info.name_stack)


def trace_level() -> Any:
    """A token that is equal as long as JAX is in the same trace."""
    return jex.get_opaque_trace_state(convention="flax")


def same_trace_level(token: Any) -> bool:
    """Whether values made now may be returned from the trace in which `token` was taken."""
    return bool(trace_level() == token)


def is_tracing(values: Any) -> bool:
    """Whether any array in the tree `values` is abstract, that is: the code is being compiled."""
    return any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(values))
