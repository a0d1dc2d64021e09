"""Every private or unstable name of JAX that is used.

`jax.extend.core` is public, but JAX promises no stability for it. Without these names a JAX step
can neither be guarded nor explained, so a missing one is an error, not a lost feature.
`tests/frameworks/test_jax_private.py` exercises each of them.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import itertools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from types import CodeType
from typing import Any

import jax
import jax.experimental
from jax._src import core, source_info_util
from jax._src.interpreters import batching
from jax.extend import core as jex

from stayfinite.errors import CannotGuardError
from stayfinite.frameworks.keras.patches import replaced

__all__ = [
    "bind",
    "closed_call_of",
    "float64_enabled",
    "frames",
    "gradients_seen",
    "is_tracing",
    "lines_of_derivatives",
    "num_programs",
    "only_places",
    "same_trace_level",
    "scope",
    "static_names",
    "trace_level",
    "without_vmap",
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

_OPTIONS_OF_PMAP = ("axis_name", "in_axes", "devices", "backend", "axis_size")


def closed_call_of(eqn: Any) -> tuple[Any, list[Any]] | None:
    """The jaxpr and constants that a call-like equation runs, or None for any other equation."""
    key = _CALLS.get(eqn.primitive.name)
    if key is None or key not in eqn.params:
        return None
    inner = eqn.params[key]
    if isinstance(inner, jex.ClosedJaxpr):
        return inner.jaxpr, list(inner.consts)
    return inner, []


def only_places(eqn: Any) -> bool:
    """Whether an equation gives its operands as they are, on several devices."""
    if eqn.primitive.name == "sharding_constraint":
        return True
    places = eqn.params.get("devices", ()) if eqn.primitive.name == "device_put" else ()
    return bool(places) and all(
        isinstance(place, jax.sharding.Sharding) and len(place.device_set) > 1 for place in places
    )


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
    return itertools.takewhile(_is_inside_trace, zip(codes, instructions, strict=True))


def _is_inside_trace(frame: tuple[CodeType, int]) -> bool:
    # Up to JAX 0.6, the traceback of an equation in a jitted function goes on with the caller that
    # had it traced first, which need not be the caller in question.
    return frame[0].co_name != "trace_to_jaxpr_dynamic"


@contextlib.contextmanager
def lines_of_derivatives() -> Iterator[None]:
    """Inside the block, what the `bwd` of a `jax.custom_vjp` computes has lines of its own.

    Private: JAX gives it those of the call that is differentiated.
    """

    def calling(plain: Callable[..., Any]) -> Callable[..., Any]:
        def call(function: Any, *args: Any, **keywords: Any) -> Any:
            derivative = function.bwd
            if derivative is None:
                return plain(function, *args, **keywords)
            function.bwd = _with_own_lines(derivative)
            try:
                return plain(function, *args, **keywords)
            finally:
                function.bwd = derivative

        return call

    with replaced([(jax.custom_vjp, "__call__", calling)]):
        yield


def _with_own_lines(derivative: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(derivative)
    def call(*args: Any, **keywords: Any) -> Any:
        held = source_info_util._source_info_context
        before = held.context
        held.context = source_info_util.SourceInfo(None, before.name_stack)
        try:
            return derivative(*args, **keywords)
        finally:
            held.context = before

    return call


def float64_enabled() -> AbstractContextManager[Any]:
    """A context in which JAX makes float64 arrays."""
    # JAX 0.6 has it in `jax.experimental`, later releases in `jax`.
    enable = jax.enable_x64 if hasattr(jax, "enable_x64") else jax.experimental.enable_x64
    context: AbstractContextManager[Any] = enable()
    return context


def scope(source_info: Any) -> str:
    """The name stack of an equation, with JAX's transform wrappers still in it."""
    return str(source_info.name_stack)


def static_names(compiled: Any) -> frozenset[str]:
    """The names of the static arguments of what `jax.jit` returned; of anything else none."""
    info = getattr(compiled, "_jit_info", None)
    return frozenset(getattr(info, "static_argnames", ()))


def options_of_pmap(mapped: Any) -> dict[str, Any] | None:
    """The options with which `jax.pmap` made a function; None where they are not known.

    Arguments are not donated: the function is called inside of another one.
    """
    made = inspect.getclosurevars(mapped).nonlocals.get("infer_params")
    held = {} if made is None else inspect.getclosurevars(made).nonlocals
    try:
        options = {key: held[key] for key in _OPTIONS_OF_PMAP}
        options["static_broadcasted_argnums"] = held["static_broadcasted_tuple"]
        options["out_axes"] = jax.tree.unflatten(held["out_axes_tree"], held["out_axes_flat"])
    except KeyError:
        return None
    return options


def num_programs(compiled: Any) -> int:
    """A number that grows with each program that `jax.jit` has compiled; 0 where it is not known.

    It also grows for a call with arrays that are placed otherwise.
    """
    size = getattr(compiled, "_cache_size", None)
    return 0 if size is None else int(size())


def trace_level() -> Any:
    """A token that is equal as long as JAX is in the same trace."""
    # JAX 0.6 has it in `jax.core`, later releases in `jax.extend.core`.
    home = jex if hasattr(jex, "get_opaque_trace_state") else jax.core
    return home.get_opaque_trace_state(convention="flax")


def same_trace_level(token: Any) -> bool:
    """Whether values made now may be returned from the trace in which `token` was taken."""
    return bool(trace_level() == token)


def without_vmap(token: Any, values: Any) -> Any:
    """The tree `values`, made inside `jax.vmap`, as arrays of the trace in which `token` was taken.

    Each has the axis of the `vmap`. None where other transformations, too, lie in between.
    """
    leaves, structure = jax.tree.flatten(values)
    outer = []
    for leaf in leaves:
        while isinstance(leaf, batching.BatchTracer):
            leaf = leaf.val
        if isinstance(leaf, jax.core.Tracer) and not _is_of_trace(token, leaf):
            return None
        outer.append(leaf)
    return jax.tree.unflatten(structure, outer)


def _is_of_trace(token: Any, tracer: Any) -> bool:
    with core.set_current_trace(tracer._trace):
        return same_trace_level(token)


def is_inside_trace() -> bool:
    """Whether the code that runs now is being traced."""
    return not same_trace_level(_OUTSIDE)


def is_tracing(values: Any) -> bool:
    """Whether any array in the tree `values` is abstract, that is: the code is being compiled."""
    return any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(values))


_OUTSIDE = trace_level()

# Called with the differentiated function, its arguments, the loss and the gradients.
NotifyGradients = Callable[[Any, Any, Any, Any], None]


@contextlib.contextmanager
def gradients_seen(notify: NotifyGradients) -> Iterator[None]:
    """Call `notify` for each gradient by `jax.grad` or `jax.value_and_grad` inside the block.

    Private: what these return may have been made before the block; here it is seen all the same.
    """
    from jax._src import api

    def telling(plain: Callable[..., Any]) -> Callable[..., Any]:
        def vjp(function: Any, *arguments: Any, **options: Any) -> Any:
            loss, pull_back, *aux = plain(function, *arguments, **options)

            def noted(*cotangents: Any) -> Any:
                gradients = pull_back(*cotangents)
                notify(function, arguments, loss, gradients)
                return gradients

            return (loss, noted, *aux)

        return vjp

    # Up to JAX 0.8 the public `vjp` is another function than the one that `value_and_grad` calls.
    name = "_vjp" if hasattr(api, "_vjp") else "vjp"
    if not hasattr(api, name):
        raise CannotGuardError(
            f"JAX {jax.__version__} has no `api.vjp`, which stayfinite needs; install a release of "
            "JAX that docs/versions.md lists"
        )
    with replaced([(api, name, telling)]):
        yield
