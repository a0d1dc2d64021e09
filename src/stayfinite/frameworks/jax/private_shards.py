"""The body of a `jax.shard_map`, or of a `jax.pmap`, on whole arrays of one device.

One equation has the whole body, whose arrays are the parts of one device. Here it is traced again
under `jax.vmap` with the names of the axes of the mesh, so that its operations are those of a
program with their lines.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax._src import source_info_util
from jax.extend import core as jex

from stayfinite.frameworks.jax import private
from stayfinite.strict import caught

T = TypeVar("T")

# What says how a value is divided. Under `vmap` it is the same value.
_SAME_VALUE = ("pvary", "pbroadcast", "pcast", "reshard", "sharding_constraint")
# Where a result is to be placed, which no value depends on.
_PLACEMENTS = ("sharding", "out_sharding")
# What `vmap` raises where it does not know an operation, or the name of an axis.
_REFUSALS = (NotImplementedError, NameError)
# What else may go wrong under `vmap`, as in an operation that looks at how its operand is divided.
_FAILURES = (TypeError, ValueError, AssertionError)


def shards_on_one_device(eqn: Any) -> jex.ClosedJaxpr | None:
    """What `eqn`, a `shard_map`, computes, as a program on whole arrays.

    None for any other equation, and where the body has an operation that `vmap` does not know.
    """
    if eqn.primitive.name != "shard_map" or "in_specs" not in eqn.params:
        return None
    params, sizes = eqn.params, dict(eqn.params["mesh"].shape)
    names = tuple(name for name in sizes if name in _manual_axes(params, sizes))

    def whole(*arrays: Any) -> list[Any]:
        specs = params["in_specs"]
        parts = [_divided(a, spec, names, sizes) for a, spec in zip(arrays, specs, strict=True)]
        body = functools.partial(_evaluated, params["jaxpr"])
        for name in reversed(names):
            axes = [0 if name in _named(spec) else None for spec in specs]
            body = jax.vmap(body, in_axes=axes, axis_name=name, axis_size=sizes[name])
        found = body(*parts)
        return [_joined(a, spec, names) for a, spec in zip(found, params["out_specs"], strict=True)]

    shapes = [jax.ShapeDtypeStruct(atom.aval.shape, atom.aval.dtype) for atom in eqn.invars]
    # Without a program, the equation is explained as one operation.
    return traced_if_mappable(lambda: jax.make_jaxpr(whole)(*shapes))


def traced_if_mappable(trace: Callable[[], T], *refusals: type[Exception]) -> T | None:
    """What `trace` gives under `vmap`; None where JAX refuses that.

    Args:
        trace: Traces a program under `vmap`.
        refusals: What else JAX raises to refuse it. Any other error is an internal one.
    """
    refused: tuple[type[Exception], ...] = (*_REFUSALS, *refusals)
    try:
        return trace()
    except refused:
        return None
    except _FAILURES as error:
        caught("tracing a program under vmap", error)
        return None


def _manual_axes(params: dict[str, Any], sizes: dict[str, int]) -> frozenset[str]:
    for key in ("newly_manual_axes", "manual_axes"):
        if key in params:
            return frozenset(params[key])
    return frozenset(sizes) - frozenset(params.get("auto", ()))


def _named(spec: Any) -> list[str]:
    """The axes of the mesh in a `PartitionSpec`."""
    return [name for entry in spec for name in _names_of(entry)]


def _names_of(entry: Any) -> tuple[str, ...]:
    if entry is None:
        return ()
    return (entry,) if isinstance(entry, str) else tuple(entry)


def _divided(array: Any, spec: Any, names: tuple[str, ...], sizes: dict[str, int]) -> Any:
    """`array` with one leading axis for each name in `spec`, in the order of `names`."""
    shape: list[int] = []
    places: dict[str, int] = {}
    for size, entry in zip(array.shape, [*spec, *[None] * array.ndim], strict=False):
        own = [name for name in _names_of(entry) if name in names]
        for name in own:
            places[name] = len(shape)
            shape.append(sizes[name])
        shape.append(size // math.prod(sizes[name] for name in own))
    leading = [places[name] for name in names if name in places]
    return jnp.moveaxis(array.reshape(shape), leading, range(len(leading))) if leading else array


def _joined(array: Any, spec: Any, names: tuple[str, ...]) -> Any:
    """The whole array of parts with one leading axis for each of `names`."""
    inside = set(_named(spec))
    for position in reversed(range(len(names))):
        if names[position] not in inside:
            array = array[(*[slice(None)] * position, 0)]
    kept = [name for name in names if name in inside]
    own = array.shape[len(kept) :]
    entries = [_names_of(entry) for entry in [*spec, *[None] * len(own)][: len(own)]]
    order: list[int] = []
    shape: list[int] = []
    for axis, entry in enumerate(entries):
        places = [kept.index(name) for name in entry if name in kept]
        order += [*places, len(kept) + axis]
        shape.append(math.prod([own[axis], *[array.shape[place] for place in places]]))
    return jnp.transpose(array, order).reshape(shape) if kept else array


def _evaluated(jaxpr: Any, *arrays: Any, consts: Sequence[Any] = ()) -> list[Any]:
    """The results of `jaxpr`, each operation with the lines and the scope that it had."""
    held = dict(zip((*jaxpr.invars, *jaxpr.constvars), (*arrays, *consts), strict=True))

    def read(atom: Any) -> Any:
        # The number of a literal says on which mesh it is.
        is_literal = isinstance(atom, jex.Literal)
        return np.asarray(atom.val, atom.aval.dtype) if is_literal else held[atom]

    for eqn in jaxpr.eqns:
        info = eqn.source_info
        scope = source_info_util.current_name_stack() + info.name_stack
        with source_info_util.user_context(info.traceback, name_stack=scope):
            results = _applied(eqn, [read(atom) for atom in eqn.invars])
        held.update(zip(eqn.outvars, results, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def _applied(eqn: Any, operands: list[Any]) -> Sequence[Any]:
    name, params = eqn.primitive.name, eqn.params
    if name in _SAME_VALUE:
        return operands
    if name == "psum_invariant":
        return [jax.lax.psum(operand, params["axes"]) for operand in operands]
    call = private.closed_call_of(eqn)
    if call is not None:
        inner, consts = call
        given = operands[len(operands) - len(inner.invars) :]
        called: Sequence[Any] = jax.jit(functools.partial(_evaluated, inner, consts=consts))(*given)
        return called
    placed = {key: None for key in _PLACEMENTS if key in params}
    return private.bind(eqn.primitive, {**params, **placed}, operands)
