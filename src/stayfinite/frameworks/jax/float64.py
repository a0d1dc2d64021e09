"""The same program in float64: every floating-point value of the step, constants included.

The equations are changed, not the dtype policy of the model, whose layers would cast their inputs
back. So only the width differs.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core as jex

from stayfinite.frameworks.jax import private
from stayfinite.frameworks.jax.capture_program import JaxProgram

# A complex number has two floats.
_NARROW = {
    "float32": "float64",
    "float16": "float64",
    "bfloat16": "float64",
    "complex64": "complex128",
}
# They read the bits of a float, or draw random bits for one, so their width cannot change.
_BITWISE = {"bitcast_convert_type", "reduce_precision", "nextafter", "rng_uniform"}


def widened(program: JaxProgram) -> JaxProgram:
    """`program` with float64 for each narrower float. Trace it in `float64_enabled`."""
    wide = JaxProgram([], {}, program.inputs, program.outputs)
    wide.avals = {number: _wide_aval(aval) for number, aval in program.avals.items()}
    wide.constants = {number: widen_array(v) for number, v in program.constants.items()}
    for equation in program.equations:
        narrow_avals = [program.avals[operand] for operand in equation.operands]
        primitive = _Widened(equation.primitive, equation.params, narrow_avals)
        wide.equations.append(
            dataclasses.replace(equation, primitive=primitive, params=equation.params)
        )
    return wide


def widen_array(value: Any) -> Any:
    """`value` as float64, or complex of such, if it is narrower; else as it is."""
    wide = _NARROW.get(str(getattr(value, "dtype", "")))
    return value if wide is None else jnp.asarray(np.asarray(value).astype(wide))


class _Widened:
    """Replaces a primitive: binds the original one with wide parameters."""

    multiple_results = True

    def __init__(self, primitive: Any, params: dict[str, Any], narrow: list[Any]) -> None:
        self.name = f"wide {primitive.name}"
        self._primitive = primitive
        self._params = params
        self._narrow = narrow

    def get_bind_params(self, params: dict[str, Any]) -> dict[str, Any]:
        """As a JAX primitive's."""
        return {}

    def bind(self, *operands: Any) -> list[Any]:
        """As a JAX primitive's."""
        if self._primitive.name in _BITWISE:
            operands = tuple(
                jax.lax.convert_element_type(o, a.dtype) if str(a.dtype) in _NARROW else o
                for o, a in zip(operands, self._narrow, strict=True)
            )
            results = private.bind(self._primitive, self._params, list(operands))
            return [_widen_traced(result) for result in results]
        params = {name: _wide_param(value) for name, value in self._params.items()}
        return private.bind(self._primitive, params, list(operands))


def _widen_traced(value: Any) -> Any:
    wide = _NARROW.get(str(value.dtype))
    return value if wide is None else jax.lax.convert_element_type(value, wide)


def _wide_aval(aval: Any) -> Any:
    wide = _NARROW.get(str(getattr(aval, "dtype", "")))
    return aval if wide is None else jax.core.ShapedArray(aval.shape, np.dtype(wide))


def _wide_param(value: Any) -> Any:
    if isinstance(value, jex.ClosedJaxpr):
        return _wide_closed(value)
    if isinstance(value, jex.Jaxpr):
        return _wide_closed(jex.ClosedJaxpr(value, [])).jaxpr
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        # The programs of a linear solve are the fields of a named tuple.
        return type(value)(*map(_wide_param, value))
    if isinstance(value, tuple | list):
        return type(value)(_wide_param(item) for item in value) if _is_plain(value) else value
    if isinstance(value, np.dtype | type) and str(np.dtype(value)) in _NARROW:
        return np.dtype(_NARROW[str(np.dtype(value))])
    return value


def _is_plain(value: Any) -> bool:
    return type(value) in (tuple, list)


def _wide_closed(closed: Any) -> Any:
    avals = [_wide_aval(aval) for aval in closed.in_avals]
    constants = [widen_array(c) for c in closed.consts]

    def run(*inputs: Any) -> list[Any]:
        env = dict(zip(closed.jaxpr.invars, inputs, strict=True))
        env.update(zip(closed.jaxpr.constvars, constants, strict=True))

        def read(atom: Any) -> Any:
            return (
                widen_array(np.asarray(atom.val, atom.aval.dtype))
                if isinstance(atom, jex.Literal)
                else env[atom]
            )

        for eqn in closed.jaxpr.eqns:
            wide = _Widened(eqn.primitive, eqn.params, [atom.aval for atom in eqn.invars])
            env.update(zip(eqn.outvars, wide.bind(*map(read, eqn.invars)), strict=True))
        return [read(atom) for atom in closed.jaxpr.outvars]

    return jax.make_jaxpr(run)(*[jax.ShapeDtypeStruct(a.shape, a.dtype) for a in avals])
