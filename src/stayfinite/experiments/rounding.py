"""Numbers that a function approaches and never reaches: as a result they come of rounding."""

from __future__ import annotations

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
    return (0.0,) if _has_rounded_zero(graph, value) else ()


def _has_rounded_zero(graph: Graph, value: int) -> bool:
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
        if op.name in _KEEPS_ZERO:
            waiting += op.operands
    return False
