"""Numbers that a function approaches and never reaches: as a result they come of rounding."""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Callable, Collection

import numpy as np

from stayfinite.graph.graph import Graph
from stayfinite.graph.walk import unwrapped
from stayfinite.numerics.functions import STRUCTURAL, row

# Their result may be 0 because an operand is 0.
_KEEPS_ZERO = STRUCTURAL | {
    *("add", "subtract", "multiply", "divide", "negative", "power", "square", "sqrt"),
    *("sum", "mean", "max", "min", "maximum", "minimum", "cumsum"),
}
_UNDERFLOW = {"prod", "cumprod"}
_MAX_OPS = 200
_ARITHMETIC: dict[str, Callable[..., float]] = {
    "add": operator.add,
    "divide": operator.truediv,
    "multiply": operator.mul,
    "negative": operator.neg,
    "reciprocal": lambda x: 1 / x,
    "subtract": operator.sub,
}
_MAX_DEPTH = 8


def approached(graph: Graph, value: int) -> tuple[float, ...]:
    """The numbers that `value` can only have by rounding."""
    op = graph.producer.get(unwrapped(graph, value, STRUCTURAL))
    if op is not None and op.name == "divide":
        # JAX computes a softmax in this way. Of any other quotient only a 0 is known to be rounded.
        above = graph.producer.get(unwrapped(graph, op.operands[0], STRUCTURAL))
        below = graph.producer.get(unwrapped(graph, op.operands[1], STRUCTURAL))
        if above is not None and below is not None and (above.name, below.name) == ("exp", "sum"):
            return row("softmax").approached
    if op is not None and row(op.name).approached:
        return row(op.name).approached
    zero = (0.0,) if _has_rounded_zero(graph, value) else ()
    return tuple(dict.fromkeys((*zero, *_of_constants(graph, value, _MAX_DEPTH))))


def _of_constants(graph: Graph, value: int, depth: int) -> tuple[float, ...]:
    """The numbers that arithmetic makes of constants and approached numbers.

    So 1 / (1 + exp(x)) is 1 by rounding only, and 1 minus that is 0.
    """
    op = graph.producer.get(unwrapped(graph, value, STRUCTURAL))
    if op is None or depth == 0:
        return ()
    if op.name not in _ARITHMETIC:
        return row(op.name).approached
    parts: list[tuple[float, ...]] = []
    is_rounded = False
    for operand in op.operands:
        constant = _constant(graph, operand)
        approached_there = () if constant else _of_constants(graph, operand, depth - 1)
        is_rounded |= bool(approached_there)
        parts.append(constant or approached_there)
    if not is_rounded:
        return ()
    found = []
    for numbers in itertools.product(*parts):
        # A product with an exact 0 is no rounding.
        if op.name in ("divide", "multiply", "reciprocal") and 0.0 in numbers:
            continue
        found.append(float(_ARITHMETIC[op.name](*numbers)))
    return tuple(number for number in found if math.isfinite(number))


def _constant(graph: Graph, value: int) -> tuple[float, ...]:
    """The number that a constant has throughout, if it is one."""
    array = graph.constants.get(unwrapped(graph, value, STRUCTURAL))
    if array is None or array.size == 0 or array.dtype.kind not in "fiu":
        return ()
    first = float(np.ravel(array)[0])
    return (first,) if bool((array == first).all()) else ()


def may_be_rounded_to_zero(graph: Graph, value: int) -> bool:
    """Whether a 0 of `value` may come of numbers that were rounded to 0, also by a matrix product.

    The product of a network may be 0 otherwise, too, so this alone says nothing about the value.
    """
    return _has_rounded_zero(graph, value, _KEEPS_ZERO | {"matmul"})


def _has_rounded_zero(graph: Graph, value: int, keeps_zero: Collection[str] = _KEEPS_ZERO) -> bool:
    """Whether a function that approaches 0 is upstream, as in a sum of exponentials.

    A long product of small numbers is also rounded to 0.
    """
    seen: set[int] = set()
    waiting = [value]
    while waiting and len(seen) < _MAX_OPS:
        op = graph.producer.get(waiting.pop())
        if op is None or op.index in seen:
            continue
        seen.add(op.index)
        if 0.0 in row(op.name).approached or op.name in _UNDERFLOW:
            return True
        if op.name in keeps_zero:
            waiting += op.operands
    return False
