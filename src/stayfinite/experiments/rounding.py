"""Numbers that a function approaches and never reaches: as a result they come of rounding."""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Callable, Collection, Iterable

import numpy as np

from stayfinite.graph.graph import Graph, Op
from stayfinite.numerics.functions import STRUCTURAL, row

# The elements of their result are those of their first operand, which the others choose.
_PICK = {"dynamic_slice", "gather", "sort", "take_along_axis"}
# The elements of their result are those of all operands.
_MOVE = STRUCTURAL | {"diagonal", "flip", "reverse", "rev", "roll", "split", "stack", "unbind"}
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
    return _joined(_approached_at(graph, source) for source in _sources(graph, value))


def _approached_at(graph: Graph, value: int) -> tuple[float, ...]:
    op = graph.producer.get(value)
    if op is not None and op.name == "divide":
        # JAX computes a softmax in this way. Of any other quotient only a 0 is known to be rounded.
        above, below = (_makers(graph, operand) for operand in op.operands[:2])
        if (above, below) == ({"exp"}, {"sum"}):
            return row("softmax").approached
    if op is not None and row(op.name).approached:
        return row(op.name).approached
    zero = (0.0,) if _has_rounded_zero(graph, value) else ()
    return _joined((zero, _of_constants(graph, value, _MAX_DEPTH)))


def _joined(parts: Iterable[tuple[float, ...]]) -> tuple[float, ...]:
    return tuple(dict.fromkeys(itertools.chain.from_iterable(parts)))


def _makers(graph: Graph, value: int) -> set[str | None]:
    makers = (graph.producer.get(source) for source in _sources(graph, value))
    return {None if maker is None else maker.name for maker in makers}


def _sources(graph: Graph, value: int) -> tuple[int, ...]:
    """The values of which `value` has the elements, none of which only moves them."""
    found: list[int] = []
    seen: set[int] = set()
    waiting = [value]
    while waiting and len(seen) < _MAX_OPS:
        source = waiting.pop()
        if source in seen:
            continue
        seen.add(source)
        moved = _moved(graph, graph.producer.get(source))
        waiting += reversed(moved)
        if not moved:
            found.append(source)
    return tuple(found)


def _moved(graph: Graph, op: Op | None) -> tuple[int, ...]:
    """The operands of which the result of an op has the elements as they are."""
    if op is None:
        return ()
    if op.name in _PICK:
        return op.operands[:1]
    if op.name == "where" and len(op.operands) == 3:
        # A 0 that the program writes there is exact.
        return tuple(x for x in op.operands[1:] if 0.0 not in _constant(graph, x))
    return op.operands if op.name in _MOVE else ()


def _of_constants(graph: Graph, value: int, depth: int) -> tuple[float, ...]:
    """The numbers that arithmetic makes of constants and approached numbers.

    So 1 / (1 + exp(x)) is 1 by rounding only, and 1 minus that is 0.
    """
    op = graph.producer.get(value)
    if op is None or depth == 0:
        return ()
    if op.name not in _ARITHMETIC:
        return row(op.name).approached
    parts: list[tuple[float, ...]] = []
    is_rounded = False
    for operand in op.operands:
        sources = _sources(graph, operand)
        constants = _joined(_constant(graph, source) for source in sources)
        rounded = _joined(
            _of_constants(graph, source, depth - 1)
            for source in sources
            if not _constant(graph, source)
        )
        is_rounded |= bool(rounded)
        parts.append(_joined((constants, rounded)))
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
    op = graph.producer.get(value)
    while op is not None and op.name in STRUCTURAL and len(op.operands) == 1:
        value = op.operands[0]
        op = graph.producer.get(value)
    array = graph.constants.get(value)
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
        waiting += op.operands if op.name in keeps_zero else _moved(graph, op)
    return False
