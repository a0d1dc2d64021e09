"""Cutting a program into segments that compile fast, and once for all that are alike.

One program with a flag per op took minutes to compile for a ResNet50 triplet step, and op by op
evaluation as long, because each distinct op is compiled by itself. Segments are cut where a layer
begins or ends, and where the update goes on to the next weight. They repeat: of the 1,121
segments of that step 114 differ, with 1,469 of its 16,641 equations, and they compile in the time
of the whole step. The same step with one line changed shares all but a few of them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from stayfinite.frameworks.jax import private
from stayfinite.frameworks.jax.capture_program import Equation, JaxProgram

MAX_EQUATIONS = 200
# The optimizer's loop over the weights has no scopes; a turn of it is at least this long.
_MIN_TURN = 8


@dataclass(frozen=True)
class Segment:
    """Consecutive equations; `operands` come from before them, `results` are read after them."""

    first: int
    equations: tuple[Equation, ...]
    operands: tuple[int, ...]
    results: tuple[int, ...]


def cut(program: JaxProgram, borders: set[int]) -> list[Segment]:
    """Segments of `program`, in order.

    Args:
        program: The flat program.
        borders: Values that no equation may read in the segment that makes them, so that they
            can be replaced between two segments.
    """
    groups: list[list[Equation]] = [[]]
    made: set[int] = set()
    read: set[int] = set()
    for equation in program.equations:
        current = groups[-1]
        fresh = borders.intersection(equation.operands) - read
        if current and (
            equation.section != current[-1].section
            or len(current) >= MAX_EQUATIONS
            or made.intersection(equation.operands)
            or (fresh and read and len(current) >= _MIN_TURN)
        ):
            groups.append([])
            made, read = set(), set()
        groups[-1].append(equation)
        made.update(borders.intersection(equation.results))
        read.update(borders.intersection(equation.operands))
    return _connect(program, [group for group in groups if group])


def whole(program: JaxProgram) -> list[Segment]:
    """All equations of `program` as one segment."""
    return _connect(program, [program.equations])


def _connect(program: JaxProgram, groups: list[list[Equation]]) -> list[Segment]:
    wanted = set(program.outputs)
    segments: list[Segment] = []
    first = len(program.equations)
    for group in reversed(groups):
        first -= len(group)
        made = {result for equation in group for result in equation.results}
        read = {operand for equation in group for operand in equation.operands}
        inputs = tuple(sorted(v for v in read - made if v not in program.constants))
        outputs = tuple(sorted(made & wanted))
        segments.append(Segment(first, tuple(group), inputs, outputs))
        wanted = (wanted - made) | set(inputs)
    return segments[::-1]


def function_of(program: JaxProgram, segment: Segment) -> Callable[..., Any]:
    """A traceable function from the segment's operands to its results.

    It has no finiteness flags of its own: a reduction for each result made a segment four times
    as slow to compile.
    """

    def run(*inputs: Any) -> Any:
        env = dict(zip(segment.operands, inputs, strict=True))

        def read(value: int) -> Any:
            return env[value] if value in env else program.constants[value]

        for equation in segment.equations:
            operands = [read(operand) for operand in equation.operands]
            results = private.bind(equation.primitive, equation.params, operands)
            env.update(zip(equation.results, results, strict=True))
        return [env[value] for value in segment.results]

    return run


def structure(program: JaxProgram, segment: Segment) -> tuple[Any, ...]:
    """Equal for two segments exactly when one compiled form serves both."""
    numbers: dict[int, int] = {}
    parts: list[Any] = [_aval_key(program.avals[value]) for value in segment.operands]
    for value in segment.operands:
        numbers[value] = len(numbers)
    for equation in segment.equations:
        operands = tuple(
            _constant_key(program.constants[operand])
            if operand in program.constants
            else numbers[operand]
            for operand in equation.operands
        )
        for result in equation.results:
            numbers[result] = len(numbers)
        parts.append((equation.primitive.name, _params_key(equation.params), operands))
    parts.append(tuple(numbers[value] for value in segment.results))
    return tuple(parts)


def _aval_key(aval: Any) -> tuple[Any, ...]:
    return (tuple(aval.shape), str(aval.dtype), bool(getattr(aval, "weak_type", False)))


def _constant_key(value: Any) -> tuple[Any, ...]:
    array = np.asarray(jax.random.key_data(value) if _is_key(value) else value)
    return ("constant", array.shape, str(array.dtype), array.tobytes())


def _is_key(value: Any) -> bool:
    return isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key)


def _params_key(params: dict[str, Any]) -> tuple[Any, ...]:
    return tuple((name, _param_key(params[name])) for name in sorted(params))


def _param_key(param: Any) -> Any:
    # Jaxprs hash by identity; their text has everything that decides what they compute. A
    # function's text has its address, which keeps two that may differ apart.
    try:
        return _text(param) if hasattr(param, "eqns") or hasattr(param, "jaxpr") else _hashed(param)
    except TypeError:
        return str(param)


@functools.lru_cache(maxsize=1024)
def _text(param: Any) -> str:
    return str(param)


def _hashed(param: Any) -> Any:
    hash(param)
    return param
